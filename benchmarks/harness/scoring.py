"""Outputs of a bundle's model through MindSpore Lite, and the metrics that they are scored by."""

from __future__ import annotations

import inn_runtime as inn
import numpy as np
from rich.progress import track

BATCH = 100
METRICS = {"accuracy": ("accuracy, %", 100.0), "psnr": ("PSNR, dB", 1.0)}
"""Name in the results files → what tables and figures call it, and the factor from one to the other."""


def scores(bundle: inn.Bundle, size: float | str, images: np.ndarray, title: str) -> np.ndarray:
    """Logits of all images through MindSpore Lite."""
    with bundle.resample(size).session() as session:
        starts = range(0, len(images), BATCH)
        parts = [session.run(images[i : i + BATCH]) for i in track(starts, title, transient=True)]
    return np.concatenate(parts)


def value_of(metric: str, judged: np.ndarray) -> float:
    """Accuracy or PSNR, from how well each image is done: right (1) or wrong (0), or the squared error."""
    mean = float(judged.mean())
    return mean if metric == "accuracy" else -10 * float(np.log10(mean))


def standard_error(values: np.ndarray) -> float:
    """Of the values' mean; the paired one where they are differences."""
    return float(values.std() / np.sqrt(len(values)))
