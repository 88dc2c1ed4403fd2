"""How to export: what `export` can be told, apart from the network and its images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inn_runtime import Bundle, UsageError

from .defaults import (
    DISTILL_IMAGES,
    EFFORTS,
    FEWEST_IMAGES,
    IMAGES,
    LARGEST_REFIT,
    OBJECTIVES,
    ORDERS,
    ORDERS_OF,
    PRESETS,
    SPAN_STEPS,
    STORAGES,
)
from .option_fields import as_text, check, described, from_text, option
from .training.options import Tuning


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if text)
    except ValueError:
        raise ValueError("comma-separated numbers") from None


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, shape = text.rpartition("=")
    try:
        return name, tuple(int(part) for part in shape.split(","))
    except ValueError:
        raise ValueError("NAME=1,3,224,224") from None


@dataclass(frozen=True)
class Options:
    """How to export. Every option is also one of `inn export`'s, and is written into the bundle.

        Attributes
        ----------
    {options}
        tunes : whether there are images to tune by; `export` fills it in
        tuning : how to tune (`Tuning`)

        Raises
        ------
        UsageError : names the option, what was expected and what was found
    """

    quadrature: str = option(
        "calibrated",
        "how layers integrate over resized channels: calibrated, fitted to the images; trapezoid, the "
        "paper's, on uniform nodes with the cubic kernel; none, plain channel selection; rescaled, that with "
        "every layer's means and deviations restored, which is what estimating batch normalisation anew does",
        choices=ORDERS_OF,
    )
    order: str | None = option(
        None,
        "channel order along each axis; given: as they are, interpolated, for networks trained as integral "
        "ones (default: fits the quadrature)",
        choices=ORDERS,
    )
    sizes: Sequence[float] = option(
        tuple(PRESETS.values()),
        "comma-separated sizes in (0, 1] (default: the presets)",
        read=_numbers,
        write=lambda sizes: ",".join(map(str, sizes)),
    )
    effort: str = option(
        "refit",
        "fast: quadratures and biases only (seconds); refit: kernels too, see --refit-up-to and --span-steps "
        "(minutes); distill: then train kernels and quadratures on all images toward the original's residual "
        "streams and outputs, without labels (longer)",
        choices=EFFORTS,
    )
    refit_up_to: float = option(
        LARGEST_REFIT,
        "largest size whose kernels are refitted, and so stored, in 1 to 8 bits",
        read=float,
        metavar="SIZE",
    )
    span_steps: int = option(
        SPAN_STEPS,
        "steps of fitting the kernels of several layers together, after each was fitted alone; 0: in closed "
        "form only",
        read=int,
        least=0,
        metavar="N",
    )
    distill_images: int = option(
        DISTILL_IMAGES,
        "images that distill learns from, with repetition, all sizes together",
        read=int,
        least=1,
        metavar="N",
    )
    limit: float | None = option(
        None,
        "how long the export may take: distill learns from fewer images, by a timed estimate",
        read=float,
        metavar="MINUTES",
        recorded=False,
    )
    storage: str = option("float16", "of the control grids", choices=STORAGES)
    optimise: str = option(
        "uniform",
        "uniform: all channel groups shrink alike; else: those shrink most that matter least for what they "
        "save, at no more FLOPs, parameters or latency than uniform widths",
        choices=OBJECTIVES,
    )
    align: int | None = option(
        None,
        "widths are multiples of this (default: 8 for flops and latency, else 1)",
        read=int,
        least=1,
        metavar="N",
    )
    images: int = option(IMAGES, "images to calibrate with", read=int, least=FEWEST_IMAGES, metavar="N")
    seed: int = option(0, "of the choice of calibration images and of the self-check's noise", read=int)
    keep: Sequence[str] = option(
        (),
        "channel groups that are not resized (inn groups lists them)",
        repeated=True,
        metavar="PATTERN",
    )
    only: Sequence[str] = option((), "resize these channel groups only", repeated=True, metavar="PATTERN")
    input_shapes: Mapping[str, Sequence[int]] = option(
        dict,
        "shape of an input that the file leaves open",
        read=_shape,
        write=lambda pair: f"{pair[0]}={','.join(map(str, pair[1]))}",
        repeated=True,
        collect=dict,
        flag="--input-shape",
        metavar="NAME=1,3,224,224",
    )
    checkpoint: str | os.PathLike[str] | None = option(
        None,
        "written twenty times; interrupted tuning goes on from it",
        metavar="FILE",
        recorded=False,
    )
    work: str | os.PathLike[str] | None = option(
        None,
        "folder for what is finished, from which the same command goes on if it was interrupted; removed at "
        "the end (default: beside the output)",
        metavar="DIR",
        recorded=False,
    )
    processes: int | None = option(
        None,
        "sizes that are calibrated at a time (default: one for each core, where that is worth it)",
        read=int,
        least=1,
        metavar="N",
        recorded=False,
    )
    tunes: bool = False
    tuning: Tuning | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(float(size) for size in self.sizes))
        object.__setattr__(self, "seed", int(self.seed))
        check(self)
        if self.limit is not None and not self.limit > 0:
            raise UsageError(f"limit: expected minutes above 0, found {self.limit!r}")
        for size in self.sizes:
            if not 0.0 < size <= 1.0:
                raise UsageError(f"sizes: expected numbers in (0, 1], found {size!r}")
        self._check_that_they_go_together()

    @property
    def how_to_tune(self) -> Tuning:
        """As given, or the defaults with the export's seed."""
        return self.tuning or Tuning(seed=self.seed)

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
        return self.quadrature == "trapezoid" and not self.how_to_tune.partitions

    @property
    def refits(self) -> bool:
        """Whether sizes get kernels of their own."""
        tunes_grids = self.tunes and self.effort != "distill"
        return self.quadrature == "calibrated" and self.effort != "fast" and not tunes_grids

    def _check_that_they_go_together(self) -> None:
        quadrature = self.quadrature
        if self.order is not None and self.order not in ORDERS_OF[quadrature]:
            fitting = " or ".join(ORDERS_OF[quadrature])
            raise UsageError(f"order: expected {fitting} for {quadrature} quadrature, found {self.order!r}")
        if self.optimise != "uniform" and quadrature != "calibrated":
            raise UsageError(f"optimise: {self.optimise} needs calibrated quadrature, found {quadrature}")
        if self.tunes and quadrature not in ("calibrated", "trapezoid"):
            raise UsageError(f"tune: expected calibrated or trapezoid quadrature, found {quadrature}")
        if self.how_to_tune.partitions and quadrature != "trapezoid":
            raise UsageError(f"tuning: partitions need trapezoid quadrature, found {quadrature}")
        if self.effort == "distill":
            if quadrature != "calibrated":
                raise UsageError(f"effort: distill needs calibrated quadrature, found {quadrature}")
            if self.checkpoint is not None:
                raise UsageError("checkpoint: distillation cannot be taken up again")
        elif self.limit is not None:
            raise UsageError(f"limit: only distill can be cut short, found effort {self.effort!r}")

    # ------------------------------------------------------------------ in a bundle
    def recorded(self) -> dict[str, str]:
        """What a bundle says about how it was made, as texts of its ``producer``."""
        tuning = f" {as_text(self.how_to_tune)}" if self.tunes else ""
        return {"options": as_text(self) + tuning}

    @classmethod
    def of(cls, bundle: Bundle) -> Options:
        """Those that a bundle was made with.

        Raises
        ------
        UsageError : the bundle does not say them, or this version does not know one of them
        """
        producer = bundle.manifest.producer
        if "options" not in producer:
            raise UsageError(f"{bundle.source}: it does not say how it was made (by an older innlite)")
        try:
            values, tuning = from_text((cls, Tuning), producer["options"], bundle.source)
            if tuning:
                values.update(tunes=True, tuning=Tuning(**tuning))
            return cls(**values)
        except UsageError as error:
            text = str(error).removeprefix(f"{bundle.source}: ")
            raise UsageError(f"{bundle.source}: {text}") from None


Options.__doc__ = (Options.__doc__ or "").replace("{options}", described(Options))
