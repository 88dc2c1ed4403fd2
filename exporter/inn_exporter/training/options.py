"""How to tune; apart from the rest because it does not need MindSpore."""

from __future__ import annotations

from dataclasses import dataclass, fields

from inn_runtime import UsageError
from inn_runtime.sampling.plan import LARGEST

from ..option_fields import described, option


@dataclass(frozen=True)
class Tuning:
    """How to tune.

        Attributes
        ----------
    {options}
    """

    seen: int = option(
        300_000,
        "images to learn from, with repetition; one that several sizes learn from in a step counts once",
        read=int,
        metavar="N",
    )
    batch: int = option(128, "images of a step, on all processes together", read=int, metavar="N")
    rate: float | None = option(
        None,
        "peak of Adam's learning rate, which follows a cosine after a short linear rise (default: 0.0005; "
        "for partitions 0.005)",
        read=float,
    )
    mirror: bool = option(False, "turn half of the images left to right", read=None)
    partitions: bool = option(False, "tune only where each size samples the axes (trapezoid only)", read=None)
    least: float = option(0.25, "smallest size drawn (trapezoid only)", read=float, metavar="SIZE")
    most: float = option(1.0, "largest size drawn, up to 1.5 (trapezoid only)", read=float, metavar="SIZE")
    patience: int | None = option(
        None,
        "stop after N twentieths of the work without a lower loss on held-out images (a twentieth of them, "
        "1,000 at most), and go back to where it was lowest",
        read=int,
        metavar="N",
    )
    sizes: int = option(
        2,
        "how many sizes below the full one learn in a step, the smallest always among them",
        read=int,
        flag="--sizes-per-step",
        shown=False,
    )
    seed: int = option(
        0,
        "of the order of images, of mirroring and of the sizes",
        read=int,
        flag="--tuning-seed",
        shown=False,
    )

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("mirror", "seed", "partitions") or value is None:
                continue
            if not value > 0:
                raise UsageError(f"tuning: {field.name}: expected a number above 0, found {value!r}")
        if not self.least <= 1 <= self.most <= LARGEST:
            raise UsageError(
                f"tuning: expected least up to 1 and most from 1 to {LARGEST:g}, "
                f"found {self.least!r} and {self.most!r}"
            )

    @property
    def peak(self) -> float:
        """The rate, or its default."""
        return self.rate or (0.005 if self.partitions else 5e-4)


Tuning.__doc__ = (Tuning.__doc__ or "").replace("{options}", described(Tuning))
