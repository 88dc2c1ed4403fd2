"""Which images do what in an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..graph.graph import Graph
from .samples import FEWEST_IMAGES, Samples, Source, load_samples

MOST_HELD_OUT = 2000


@dataclass(frozen=True)
class Material:
    """Images, by what they are for.

    Attributes
    ----------
    calibration : calibrate
    judged : measure the curve, and judge schedules and what was distilled without labels
    lessons : distillation learns from them
    tuned : the control grids or the partitions are trained on them
    """

    calibration: Samples
    judged: Samples
    lessons: Samples
    tuned: Samples | None = None

    @classmethod
    def load(
        cls,
        graph: Graph,
        preprocessing: Mapping[str, Mapping[str, Any]],
        data: Source,
        evaluate: Source | None,
        images: int,
        seed: int,
    ) -> Material:
        """Of ``data``, ``images`` calibrate; without ``evaluate`` a fifth, or what is spare, is judged.

        Raises
        ------
        CalibrationDataError : names the source, the input, what was expected and what was found
        """
        pool = load_samples(data, graph, FEWEST_IMAGES, preprocessing)
        if evaluate is not None:
            judged = load_samples(evaluate, graph, 1, preprocessing)
        else:
            spare = max(len(pool) // 5, len(pool) - images)
            pool, judged = pool.split(len(pool) - min(MOST_HELD_OUT, spare), seed)
        calibration, _ = pool.split(min(images, len(pool)), seed)
        return cls(calibration, judged, pool.unlabelled())
