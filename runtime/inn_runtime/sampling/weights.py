"""A bundle's weights at one size: overridden, corrected, or sampled, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import BundleError
from ..finite import all_finite
from ..format.axis import Grid
from ..format.container import Container
from .plan import Plan
from .resample import Discretisation, resize, resize_blocks, rows_needed, sums_of_rows

Array = npt.NDArray[np.float32]


class SampledWeights:
    """The weights of a container at a plan. Nothing is read before it is asked for.

    Parameters
    ----------
    container : the tensors of the full network, and what was calibrated
    plan : the widths of all channel groups, and the calibrated data of this size
    """

    def __init__(self, container: Container, plan: Plan) -> None:
        self._container = container
        self._plan = plan

    def blocks(self, index: int) -> Iterator[Array]:
        """Weight ``index`` a block of rows at a time, where these do not depend on each other.

        Blocks are float32, or float16 where that loses nothing.

        Raises
        ------
        BundleError : a tensor is damaged, or what is computed of good ones is not finite
        """
        for block in self._computed(index):
            if not all_finite(block):
                name = self._container.manifest.weights[index].name
                where = f"{self._container.source}: weight {name!r} at size {self._plan.size:g}"
                raise BundleError(f"{where} holds values that are not finite")
            yield block

    def _computed(self, index: int) -> Iterator[Array]:
        calibrated = self._plan.calibrated
        if calibrated is not None and index in calibrated.overrides:
            yield from self._container.blocks(calibrated.overrides[index])
        elif calibrated is not None and index in calibrated.corrections:
            sampled = self._sampled(index, self._discretisation.without_tables())
            yield from sums_of_rows(sampled, self._container.blocks(calibrated.corrections[index]))
        else:
            yield from self._sampled(index, self._discretisation)

    def _sampled(self, index: int, discretisation: Discretisation) -> Iterator[Array]:
        weight = self._container.manifest.weights[index]
        key = f"weight/{weight.name}"
        rows = rows_needed(weight.dims, discretisation)
        if rows is None:
            yield resize(self._container.tensor(key), weight.dims, discretisation)
        else:
            blocks = self._container.blocks(key, rows, widen=False)
            yield from resize_blocks(blocks, weight.dims, discretisation)

    @cached_property
    def _discretisation(self) -> Discretisation:
        calibrated = self._plan.calibrated
        tables = {} if calibrated is None else calibrated.tables

        def table(quadrature: int) -> Array | None:
            return self._container.tensor(tables[quadrature]) if quadrature in tables else None

        axes = [group.axis for group in self._container.manifest.groups]
        grids = {} if calibrated is None else {g: self._grid(g, key) for g, key in calibrated.grids.items()}
        return Discretisation(axes, self._plan.widths, table, grids)

    def _grid(self, group: int, key: str) -> Grid:
        grid = Grid(*self._container.tensor(key).astype(np.float64))
        last = self._container.manifest.groups[group].axis.size - 1
        if grid.nodes.min() < 0 or grid.nodes.max() > last:
            raise BundleError(f"{self._container.source}: tensor {key!r}: expected nodes in [0, {last}]")
        return grid
