"""Calibration and evaluation data: `.npz` files keyed by input name or folders of images, checked before
anything runs."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
from inn_runtime.errors import UsageError
from inn_runtime.preprocessing import Preprocessing

from ..errors import CalibrationDataError
from ..graph.graph import Graph
from .folders import load_folder

LARGEST_VALUE = 1e5
Source = Union[str, "os.PathLike[str]", np.ndarray, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Samples:
    """Images keyed by input name, (n, …) float32, and their labels (n,), where there are any."""

    inputs: dict[str, np.ndarray]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, indices: np.ndarray) -> Samples:
        """Some of the samples."""
        labels = None if self.labels is None else self.labels[indices]
        return Samples({name: array[indices] for name, array in self.inputs.items()}, labels)

    def unlabelled(self) -> Samples:
        """The images alone."""
        return Samples(self.inputs)

    def with_mirror_images(self) -> Samples:
        """Twice as many: these, and all of them turned left to right."""
        inputs = {n: np.concatenate([a, a[..., ::-1]]) for n, a in self.inputs.items()}
        return Samples(inputs, None if self.labels is None else np.tile(self.labels, 2))

    def split(self, count: int, seed: int) -> tuple[Samples, Samples]:
        """``count`` samples drawn at random, and the rest, all in their order."""
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        rest = np.setdiff1d(np.arange(len(self)), chosen)
        return self.take(chosen), self.take(rest)


def load_samples(
    source: Source,
    graph: Graph,
    fewest: int = 1,
    preprocessing: Mapping[str, Mapping[str, Any]] | None = None,
) -> Samples:
    """Read and check samples for a network.

    Parameters
    ----------
    source : an ``.npz`` keyed by input name (``labels`` beside it; where the network has one input, any
        other name will do), a folder of images and an array for a network with one input, or a mapping
    fewest : fewer samples than this are an error
    preprocessing : input name → how an image of a folder becomes that input, see `inn_runtime.preprocessing`

    Raises
    ------
    CalibrationDataError : names the source, the input, what was expected and what was found
    """
    label = str(source) if isinstance(source, (str, os.PathLike)) else "calibration data"
    if isinstance(source, (str, os.PathLike)) and Path(source).is_dir():
        arrays = _images(Path(source), graph, preprocessing or {})
    else:
        arrays = _arrays(source, label)
    if len(graph.inputs) == 1 and graph.inputs[0] not in arrays:
        others = [name for name in arrays if name != "labels"]
        if len(others) == 1:
            arrays[graph.inputs[0]] = arrays.pop(others[0])
    missing = [name for name in graph.inputs if name not in arrays]
    if missing:
        raise CalibrationDataError(
            f"{label}: expected an array {missing[0]!r}, found {', '.join(arrays) or 'none'}"
        )
    inputs = {name: _checked(arrays[name], graph.shapes[name], f"{label}: {name!r}") for name in graph.inputs}
    counts = {len(array) for array in inputs.values()}
    if len(counts) > 1:
        raise CalibrationDataError(f"{label}: the inputs hold different numbers of images: {sorted(counts)}")
    count = counts.pop()
    if count < fewest:
        raise CalibrationDataError(f"{label}: expected at least {fewest} images, found {count}")
    labels = arrays.get("labels")
    if labels is not None:
        labels = np.asarray(labels)
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise CalibrationDataError(
                f"{label}: 'labels': expected {count} integers, found {labels.dtype} {labels.shape}"
            )
    return Samples(inputs, labels)


def check_labels(graph: Graph, labels: np.ndarray) -> None:
    """Raise a `UsageError` unless labels fit a network's only output, (batch, classes)."""
    shapes = [graph.shapes[name] for name in graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise UsageError(f"labels: expected a network with one output (batch, classes), found {shapes}")
    if labels.min() < 0 or labels.max() >= shapes[0][1]:
        raise UsageError(f"labels: expected 0 to {shapes[0][1] - 1}, found {labels.min()} to {labels.max()}")


def by_input(preprocessing: Mapping[str, Any], graph: Graph) -> dict[str, Mapping[str, Any]]:
    """Preprocessing keyed by input name, checked; that of the only input need not be keyed.

    Raises
    ------
    UsageError : names the input or field
    """
    if preprocessing and len(graph.inputs) == 1 and graph.inputs[0] not in preprocessing:
        preprocessing = {graph.inputs[0]: preprocessing}
    for name, values in preprocessing.items():
        if name not in graph.inputs:
            raise UsageError(f"preprocess: expected inputs {', '.join(graph.inputs)}, found {name!r}")
        Preprocessing.parse(values, graph.shapes[name])
    return dict(preprocessing)


def _images(
    folder: Path, graph: Graph, preprocessing: Mapping[str, Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    if len(graph.inputs) != 1:
        raise UsageError(
            f"{folder}: a folder of images is for networks with one input, found {', '.join(graph.inputs)}"
        )
    name = graph.inputs[0]
    if name not in preprocessing:
        raise UsageError(
            f"{folder}: a folder of images needs --preprocess: how they become the input {name!r}"
        )
    shape = graph.shapes[name]
    return {name: load_folder(folder, Preprocessing.parse(preprocessing[name], shape), shape[1])}


def _arrays(source: Source, label: str) -> dict[str, np.ndarray]:
    if isinstance(source, Mapping):
        return {name: np.asarray(array) for name, array in source.items()}
    if isinstance(source, np.ndarray):
        return {"images": source}
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError) as error:
        raise CalibrationDataError(f"{label}: not an .npz file of plain arrays ({error})") from None


def _checked(array: np.ndarray, shape: tuple[int, ...], label: str) -> np.ndarray:
    if array.dtype.kind != "f":
        raise CalibrationDataError(
            f"{label}: expected float32 values as the network takes them, found {array.dtype}"
        )
    if array.ndim != len(shape) or array.shape[1:] != shape[1:]:
        expected = ", ".join(["n", *map(str, shape[1:])])
        raise CalibrationDataError(f"{label}: expected shape ({expected}), found {array.shape}")
    if not np.isfinite(array).all():
        raise CalibrationDataError(f"{label}: holds values that are not finite")
    largest = float(np.abs(array).max(initial=0.0))
    if largest > LARGEST_VALUE:
        raise CalibrationDataError(f"{label}: expected values of a normalised image, found up to {largest:g}")
    if len(array) > 1 and (array == array[:1]).all():
        raise CalibrationDataError(f"{label}: all {len(array)} images are the same")
    return np.ascontiguousarray(array, np.float32)
