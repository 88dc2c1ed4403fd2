"""How to tune; apart from the rest because it does not need MindSpore."""

from __future__ import annotations

from dataclasses import dataclass, fields

from inn_runtime import UsageError
from inn_runtime.plan import LARGEST


@dataclass(frozen=True)
class Tuning:
    """How to tune.

    Attributes
    ----------
    seen : images seen, with repetition; one that several sizes learn from in a step counts once
    batch : images of a step, on all machines together
    rate : peak of Adam's learning rate, which follows a cosine after a short linear rise; None: 0.0005, for
        partitions 0.005
    mirror : half of the images are turned left to right
    sizes : how many sizes below the full one learn in a step, the smallest always among them
    least, most : smallest and largest size, up to 1.5, where these are drawn at random
    partitions : only the nodes at which each size samples the axes are tuned; trapezoid only
    patience : stop after so many twentieths of the work without a lower loss on held-out images (a twentieth
        of them, 1,000 at most), and go back to where it was lowest; None: never
    seed : of the order of images, of mirroring and of the sizes
    """

    seen: int = 300_000
    batch: int = 128
    rate: float | None = None
    mirror: bool = False
    sizes: int = 2
    least: float = 0.25
    most: float = 1.0
    partitions: bool = False
    patience: int | None = None
    seed: int = 0

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
