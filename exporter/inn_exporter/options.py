"""How to export: what `export` can be told, apart from the network and its images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from inn_runtime import UsageError

from .data.samples import FEWEST_IMAGES
from .ordering.order import ORDERS
from .schedule.widths import OBJECTIVES
from .storage.stored import STORAGES
from .training.options import Tuning

EFFORTS = ("fast", "refit", "distill")
ORDERS_OF = {
    "calibrated": ORDERS,
    "trapezoid": ("smooth", "given"),
    "rescaled": ("l1", "nested"),
    "none": ("l1", "nested"),
}
"""Orders that go with each quadrature, the default first."""


@dataclass(frozen=True)
class Options:
    """`export`'s arguments of the same names, checked.

    Attributes
    ----------
    order, align : None for the default, see `layout` and `step`
    tunes : whether there are images to tune by

    Raises
    ------
    UsageError : names the argument, what was expected and what was found
    """

    quadrature: str
    order: str | None
    sizes: Sequence[float]
    effort: str
    refit_up_to: float
    span_steps: int
    distill_images: int
    limit: float | None
    tunes: bool
    tuning: Tuning
    checkpoint: str | os.PathLike[str] | None
    storage: str
    optimise: str
    align: int | None
    images: int
    seed: int

    @property
    def layout(self) -> str:
        """How channels are laid out along their axis."""
        return self.order or ORDERS_OF[self.quadrature][0]

    @property
    def step(self) -> int:
        """Widths are multiples of this."""
        return OBJECTIVES[self.optimise] if self.align is None else self.align

    @property
    def tunes_by_rule(self) -> bool:
        """Whether control grids are tuned at random sizes, before anything else."""
        return self.quadrature == "trapezoid" and not self.tuning.partitions

    @property
    def refits(self) -> bool:
        """Whether sizes get kernels of their own."""
        tunes_grids = self.tunes and self.effort != "distill"
        return self.quadrature == "calibrated" and self.effort != "fast" and not tunes_grids

    def __post_init__(self) -> None:
        self._check_names()
        self._check_numbers()
        self._check_that_they_go_together()

    def _check_names(self) -> None:
        for name, value, known in (
            ("quadrature", self.quadrature, ORDERS_OF),
            ("effort", self.effort, EFFORTS),
            ("storage", self.storage, STORAGES),
            ("optimise", self.optimise, OBJECTIVES),
            ("order", self.order, (None, *ORDERS)),
        ):
            if value not in known:
                raise UsageError(f"{name}: expected one of {', '.join(filter(None, known))}, found {value!r}")

    def _check_numbers(self) -> None:
        for name, value, least in (
            ("align", self.step, 1),
            ("images", self.images, FEWEST_IMAGES),
            ("span_steps", self.span_steps, 0),
            ("distill_images", self.distill_images, 1),
        ):
            if value < least:
                raise UsageError(f"{name}: expected at least {least}, found {value}")
        if self.limit is not None and not self.limit > 0:
            raise UsageError(f"limit: expected minutes above 0, found {self.limit!r}")
        for size in self.sizes:
            if not 0.0 < size <= 1.0:
                raise UsageError(f"sizes: expected numbers in (0, 1], found {size!r}")

    def _check_that_they_go_together(self) -> None:
        quadrature = self.quadrature
        if self.order is not None and self.order not in ORDERS_OF[quadrature]:
            fitting = " or ".join(ORDERS_OF[quadrature])
            raise UsageError(f"order: expected {fitting} for {quadrature} quadrature, found {self.order!r}")
        if self.optimise != "uniform" and quadrature != "calibrated":
            raise UsageError(f"optimise: {self.optimise} needs calibrated quadrature, found {quadrature}")
        if self.tunes and quadrature not in ("calibrated", "trapezoid"):
            raise UsageError(f"tune: expected calibrated or trapezoid quadrature, found {quadrature}")
        if self.tuning.partitions and quadrature != "trapezoid":
            raise UsageError(f"tuning: partitions need trapezoid quadrature, found {quadrature}")
        if self.effort == "distill":
            if quadrature != "calibrated":
                raise UsageError(f"effort: distill needs calibrated quadrature, found {quadrature}")
            if self.checkpoint is not None:
                raise UsageError("checkpoint: distillation cannot be taken up again")
        elif self.limit is not None:
            raise UsageError(f"limit: only distill can be cut short, found effort {self.effort!r}")
