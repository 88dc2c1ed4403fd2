"""What calibration finds for one size, as it will be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from inn_runtime.axes import Axis, Grid
from inn_runtime.resample import Discretisation

from ..ordering.continuous import ContinuousNetwork
from ..storage.bits import LARGEST_SHARE, store_coarsely
from ..storage.gptq import Sensitivity
from ..storage.stored import Stored


@dataclass
class CalibratedSize:
    """What calibration finds for one size.

    Attributes
    ----------
    widths : width of every channel group
    refit : whether kernels are refitted
    tables : quadrature → B - B0, (N, n), as it will be stored
    constants : every constant of the resized network, in the graph's layout
    changed : constants that take the place of sampled ones: corrected biases, rescaled kernels
    corrections : what is added to constants as the rules alone sample them, see `base`: refitted kernels
    grids : group → nodes and weights that this size has of its own
    """

    widths: list[int]
    refit: bool = False
    tables: dict[int, Stored] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    changed: dict[str, Stored] = field(default_factory=dict)
    corrections: dict[str, Stored] = field(default_factory=dict)
    grids: dict[int, Grid] = field(default_factory=dict)

    def discretisation(self, axes: Sequence[Axis]) -> Discretisation:
        """The size as far as its tables are known."""

        def table(index: int) -> np.ndarray | None:
            return self.tables[index].read() if index in self.tables else None

        return Discretisation(axes, self.widths, table, self.grids)

    def base(self, network: ContinuousNetwork, name: str) -> np.ndarray:
        """A constant as the rules alone sample it, without tables."""
        return network.constant(name, self.discretisation(network.axes).without_tables())

    def correct(
        self,
        network: ContinuousNetwork,
        name: str,
        exact: np.ndarray,
        storage: str,
        sensitivity: Sensitivity,
        budget: float,
    ) -> None:
        """Give a kernel of this size's own; what is stored is its difference from its base."""
        base = self.base(network, name)
        self.corrections[name] = self._rounded(network, exact - base, storage, sensitivity, budget, 0)
        self.constants[name] = base + self.corrections[name].read()

    def set_table(
        self,
        network: ContinuousNetwork,
        index: int,
        table: np.ndarray,
        storage: str,
        sensitivity: Sensitivity,
        budget: float,
    ) -> None:
        """Give a quadrature its B - B0."""
        self.tables[index] = self._rounded(network, table, storage, sensitivity, budget, 1)

    def _rounded(
        self,
        network: ContinuousNetwork,
        values: np.ndarray,
        storage: str,
        sensitivity: Sensitivity,
        budget: float,
        channel: int,
    ) -> Stored:
        """As few bits as keep the squared error within ``budget``, which is for a kernel of average size.

        Errors of all layers add up, and each bit divides one layer's by four: bytes are least where every
        layer's error is in proportion to how many values it has.
        """
        share = min(values.size / network.kernel_values(self.widths), LARGEST_SHARE)
        return store_coarsely(values, storage, sensitivity, share * budget, channel)

    def sample(self, network: ContinuousNetwork) -> None:
        """Work all constants out anew, from the control grids and what is stored for this size."""
        discretisation, self.constants = self.discretisation(network.axes), {}
        for name in network.graph.constants:
            if name in self.changed:
                self.constants[name] = self.changed[name].read()
            elif name in self.corrections:
                self.constants[name] = self.base(network, name) + self.corrections[name].read()
            else:
                self.constants[name] = network.constant(name, discretisation)
