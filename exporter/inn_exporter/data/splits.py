"""Which images do what in an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..defaults import FEWEST_IMAGES
from ..graph.graph import Graph
from .samples import Samples, Source, load_samples

MOST_HELD_OUT = 2000


@dataclass(frozen=True)
class Splits:
    """Images, by what they are for.

    Attributes
    ----------
    calibration : calibrate
    held_out : measure the curve, and judge schedules and what was distilled without labels
    training : distillation learns from them
    tuning : the control grids or the partitions are trained on them
    """

    calibration: Samples
    held_out: Samples
    training: Samples
    tuning: Samples | None = None

    @classmethod
    def load(
        cls,
        graph: Graph,
        preprocessing: Mapping[str, Mapping[str, Any]],
        data: Source,
        evaluate: Source | None,
        images: int,
        seed: int,
    ) -> Splits:
        """Of ``data``, ``images`` calibrate; without ``evaluate`` a fifth, or what is spare, is held out.

        Raises
        ------
        CalibrationDataError : names the source, the input, what was expected and what was found
        """
        pool = load_samples(data, graph, FEWEST_IMAGES, preprocessing)
        if evaluate is not None:
            held_out = load_samples(evaluate, graph, 1, preprocessing)
        else:
            spare = max(len(pool) // 5, len(pool) - images)
            pool, held_out = pool.split(len(pool) - min(MOST_HELD_OUT, spare), seed)
        calibration, _ = pool.split(min(images, len(pool)), seed)
        return cls(calibration, held_out, pool.unlabelled())
