"""What calibration finds for one size, as it will be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from inn_runtime.format.axis import Axis, Grid
from inn_runtime.sampling.resample import Discretisation

from ..ordering.continuous import ContinuousNetwork
from ..storage.bits import fewest_bits, share_of_error
from ..storage.gptq import Sensitivity
from ..storage.stored import Stored


@dataclass(frozen=True)
class CalibratedSize:
    """What calibration finds for one size. Never changed: what is found next makes another.

    Attributes
    ----------
    widths : width of every channel group
    refit : whether kernels are refitted
    storage : of the control grids, which decides how calibration data are stored
    tables : quadrature → B - B0, (N, n), as it will be stored
    constants : every constant of the resized network, in the graph's layout
    changed : constants that take the place of sampled ones: corrected biases, rescaled kernels
    corrections : what is added to constants as the rules alone sample them, see `base`: refitted kernels
    grids : group → nodes and weights that this size has of its own
    """

    widths: Sequence[int]
    refit: bool = False
    storage: str = "float16"
    tables: Mapping[int, Stored] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    changed: Mapping[str, Stored] = field(default_factory=dict)
    corrections: Mapping[str, Stored] = field(default_factory=dict)
    grids: Mapping[int, Grid] = field(default_factory=dict)

    def discretisation(self, axes: Sequence[Axis]) -> Discretisation:
        """The size as far as its tables are known."""

        def table(index: int) -> np.ndarray | None:
            return self.tables[index].read() if index in self.tables else None

        return Discretisation(axes, self.widths, table, self.grids)

    def base(self, network: ContinuousNetwork, name: str) -> np.ndarray:
        """A constant as the rules alone sample it, without tables."""
        return network.constant(name, self.discretisation(network.axes).without_tables())

    def with_constants(self, values: Mapping[str, np.ndarray]) -> CalibratedSize:
        """With constants that follow from what is stored anyway."""
        return replace(self, constants={**self.constants, **values})

    def with_changed(self, name: str, stored: Stored) -> CalibratedSize:
        """With a constant that takes the place of the sampled one."""
        found = self.with_constants({name: stored.read()})
        return replace(found, changed={**self.changed, name: stored})

    def with_kernel(
        self,
        network: ContinuousNetwork,
        name: str,
        exact: np.ndarray,
        sensitivity: Sensitivity,
        budget: float,
    ) -> CalibratedSize:
        """With a kernel of this size's own; what is stored is its difference from its base, rounded so that a
        kernel of average size makes a squared error of ``budget`` at most."""
        base = self.base(network, name)
        correction = self._rounded(network, exact - base, sensitivity, budget, channel=0)
        found = self.with_constants({name: base + correction.read()})
        return replace(found, corrections={**self.corrections, name: correction})

    def with_table(
        self,
        network: ContinuousNetwork,
        index: int,
        table: np.ndarray,
        sensitivity: Sensitivity,
        budget: float,
    ) -> CalibratedSize:
        """With B - B0 of a quadrature, rounded likewise."""
        stored = self._rounded(network, table, sensitivity, budget, channel=1)
        return replace(self, tables={**self.tables, index: stored})

    def _rounded(
        self,
        network: ContinuousNetwork,
        values: np.ndarray,
        sensitivity: Sensitivity,
        budget: float,
        channel: int,
    ) -> Stored:
        share = share_of_error(values.size, network.kernel_values(self.widths))
        return fewest_bits(values, self.storage, sensitivity, share * budget, channel)

    def only(self, kept: set[str]) -> CalibratedSize:
        """Without what was found for other constants; tables stay."""

        def among(values: Mapping[str, Stored]) -> dict[str, Stored]:
            return {name: stored for name, stored in values.items() if name in kept}

        constants = {name: values for name, values in self.constants.items() if name in kept}
        return replace(
            self, constants=constants, changed=among(self.changed), corrections=among(self.corrections)
        )

    def sampled(self, network: ContinuousNetwork) -> CalibratedSize:
        """With all constants worked out anew, from the control grids and what is stored for this size."""
        discretisation, constants = self.discretisation(network.axes), {}
        for name in network.graph.constants:
            if name in self.changed:
                constants[name] = self.changed[name].read()
            elif name in self.corrections:
                constants[name] = self.base(network, name) + self.corrections[name].read()
            else:
                constants[name] = network.constant(name, discretisation)
        return replace(self, constants=constants)
