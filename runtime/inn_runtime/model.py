"""A network at one size: what it costs, its `.ms` bytes, a session that runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .axes import Grid
from .bundle import Bundle
from .errors import BundleError, UsageError
from .fields import shown
from .files import write_atomically
from .manifest import evaluate
from .ms_model import WEIGHT_TYPES, as_float16, pack, packed_size
from .plan import Plan
from .resample import Discretisation, resize, resize_blocks, rows_needed, sums_of_rows
from .session import Session


class Model:
    """A resized network. Cheap to make: weights are sampled when its bytes are asked for.

    Attributes
    ----------
    bundle : where it comes from
    plan : the size, the widths of all channel groups, the calibrated data used
    weights : ``float32`` or ``float16``, the type of the weights in the `.ms` model
    """

    def __init__(self, bundle: Bundle, plan: Plan, weights: str = "float32") -> None:
        if weights not in WEIGHT_TYPES:
            raise UsageError(f"weights: expected one of {', '.join(WEIGHT_TYPES)}, found {shown(weights)}")
        self.bundle = bundle
        self.plan = plan
        self.weights = weights

    @property
    def size(self) -> float:
        """The size that is built; see `Plan.requested` for the one asked for."""
        return self.plan.size

    @property
    def name(self) -> str:
        """The preset's name, or the size as a number."""
        return self.plan.preset or f"{self.plan.size:g}"

    @property
    def is_safe(self) -> bool:
        """Whether the measured curve says that this size still stands in for the original network."""
        return self.size >= float(self.bundle.manifest.curve.get("safe_from") or 0.0)

    @cached_property
    def parameters(self) -> int:
        """Number of weights and biases."""
        shapes = (weight.shape(self.plan.widths) for weight in self.bundle.manifest.weights)
        return sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one image's convolutions and matrix products (FLOPs are twice that)."""
        return evaluate(self.bundle.manifest.macs, self.plan.widths)

    @cached_property
    def model_bytes(self) -> int:
        """Size of the `.ms` model, found without sampling any weight."""
        return packed_size(self.bundle.manifest, self.plan.widths, self.weights)

    def weight(self, index: int) -> npt.NDArray[np.float32]:
        """Weight ``index`` of the manifest at this size, in the engine's layout."""
        shape = self.bundle.manifest.weights[index].shape(self.plan.widths)
        blocks = [np.atleast_1d(block) for block in self.blocks(index)]
        return np.concatenate(blocks).astype(np.float32, copy=False).reshape(shape)

    def blocks(self, index: int) -> Iterator[npt.NDArray[np.float32]]:
        """Weight ``index`` a block of rows at a time, where these do not depend on each other.

        Blocks are float32, or float16 where that loses nothing.
        """
        calibrated = self.plan.calibrated
        if calibrated is not None and index in calibrated.overrides:
            yield from self.bundle.blocks(calibrated.overrides[index])
        elif calibrated is not None and index in calibrated.corrections:
            sampled = self._sampled(index, self._discretisation.without_tables())
            yield from sums_of_rows(sampled, self.bundle.blocks(calibrated.corrections[index]))
        else:
            yield from self._sampled(index, self._discretisation)

    def _sampled(self, index: int, discretisation: Discretisation) -> Iterator[npt.NDArray[np.float32]]:
        weight = self.bundle.manifest.weights[index]
        key = f"weight/{weight.name}"
        rows = rows_needed(weight.dims, discretisation)
        if rows is None:
            yield resize(self.bundle.tensor(key), weight.dims, discretisation)
        else:
            blocks = self.bundle.blocks(key, rows, widen=False)
            yield from resize_blocks(blocks, weight.dims, discretisation)

    @cached_property
    def _discretisation(self) -> Discretisation:
        calibrated = self.plan.calibrated
        tables = {} if calibrated is None else calibrated.tables

        def table(quadrature: int) -> npt.NDArray[np.float32] | None:
            return self.bundle.tensor(tables[quadrature]) if quadrature in tables else None

        axes = [group.axis for group in self.bundle.manifest.groups]
        grids = {} if calibrated is None else {g: self._grid(g, key) for g, key in calibrated.grids.items()}
        return Discretisation(axes, self.plan.widths, table, grids)

    def _grid(self, group: int, key: str) -> Grid:
        grid = Grid(*self.bundle.tensor(key).astype(np.float64))
        last = self.bundle.manifest.groups[group].axis.size - 1
        if grid.nodes.min() < 0 or grid.nodes.max() > last:
            raise BundleError(f"{self.bundle.source}: tensor {key!r}: expected nodes in [0, {last}]")
        return grid

    def to_bytes(self) -> memoryview:
        """The `.ms` model; the same bundle, size and machine give the same bytes.

        Weights are sampled a block at a time straight into one buffer of the model's size.
        """
        cache = self.bundle.cache
        return self._pack() if cache is None else cache.content(self, self._pack)

    def _pack(self) -> memoryview:
        return pack(self.bundle.manifest, self.plan.widths, self.blocks, self.weights)

    def to_engine_bytes(self) -> memoryview:
        """The same model for this process's engine: float16 weights are rounded, but stored as float32.

        MindSpore Lite 2.0.0 widens them anyway, and refuses most float16 models in a process that has freed
        one before.
        """
        if self.weights == "float32":
            return self.to_bytes()

        def rounded(index: int) -> Iterator[npt.NDArray[np.float32]]:
            name = self.bundle.manifest.weights[index].name
            return (block.astype(np.float32) for block in as_float16(self.blocks(index), name))

        return pack(self.bundle.manifest, self.plan.widths, rounded)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the `.ms` model atomically; returns its number of bytes."""
        content = self.to_bytes()
        write_atomically(path, content)
        return len(content)

    def session(self, threads: int = 1, engine: str = "auto") -> Session:
        """Build the model in MindSpore Lite; see `inn_runtime.engine` for the engines."""
        return Session(self, threads=threads, engine=engine)
