"""The network that a bundle was made from, as its ONNX file has it, in ONNX Runtime.

A bundle is judged by it: nothing of ours reads the file. ONNX Runtime is no dependency of the runtime;
the exporter has it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InnError, UsageError

Array = npt.NDArray[np.float32]

BATCH = 32
"""Images that run at a time where the file leaves that open."""

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}


class SourceModel:
    """An ONNX network with several inputs and outputs, for any number of images.

    Parameters
    ----------
    model : a file, or the bytes of one
    label : what messages call it; default: the file's name

    Raises
    ------
    UsageError : ONNX Runtime is missing, or it cannot load the file
    """

    def __init__(self, model: str | os.PathLike[str] | bytes, label: str | None = None) -> None:
        self.label = label or (os.fspath(model) if not isinstance(model, bytes) else "the source network")
        try:
            import onnxruntime
        except ImportError:
            raise UsageError(f"{self.label}: needs ONNX Runtime: pip install onnxruntime") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        content = model if isinstance(model, bytes) else os.fspath(model)
        try:
            self._session: Any = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise UsageError(f"{self.label}: ONNX Runtime cannot load it: {_first_line(error)}") from None
        self._inputs = {port.name: port for port in self._session.get_inputs()}
        self.outputs = [port.name for port in self._session.get_outputs()]
        for port in self._inputs.values():
            if port.type not in _TYPES:
                raise UsageError(f"{self.label}: input {port.name!r}: expected floats, found {port.type}")

    def representable(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs nearest to these that the file's types can hold, float32."""
        return {name: self._typed(name, array).astype(np.float32) for name, array in inputs.items()}

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """Outputs, float32, batch first, for arrays of the same number of images keyed by input name.

        Raises
        ------
        InnError : ONNX Runtime failed
        UsageError : an input is missing
        """
        missing = sorted(set(self._inputs) - set(inputs))
        if missing:
            raise UsageError(f"{self.label}: input {missing[0]!r} is missing")
        wanted = list(outputs or self.outputs)
        typed = {name: self._typed(name, inputs[name]) for name in self._inputs}
        fixed = self._batch()
        try:
            return self._run(wanted, typed, fixed or BATCH)
        except InnError:
            if fixed is not None:
                raise
        return self._run(wanted, typed, 1)  # the batch is open, but something inside has one image

    def _run(self, wanted: list[str], typed: Mapping[str, npt.NDArray[Any]], batch: int) -> dict[str, Array]:
        """Outputs, ``batch`` images at a time; where the last are fewer, and the file fixes it, filled up."""
        count = len(next(iter(typed.values())))
        parts: list[list[npt.NDArray[Any]]] = []
        for start in range(0, count, batch):
            feeds = {name: array[start : start + batch] for name, array in typed.items()}
            images = min(batch, count - start)
            if self._batch() is not None and images < batch:
                feeds = {n: np.concatenate([a, a[-1:].repeat(batch - images, 0)]) for n, a in feeds.items()}
            try:
                found = self._session.run(wanted, feeds)
            except Exception as error:
                raise InnError(f"{self.label}: ONNX Runtime: {_first_line(error)}") from None
            parts.append([np.asarray(values)[:images] for values in found])
        joined = (np.concatenate(values) for values in zip(*parts))
        return {name: values.astype(np.float32) for name, values in zip(wanted, joined)}

    def _typed(self, name: str, array: Array) -> npt.NDArray[Any]:
        kind = np.dtype(_TYPES[self._inputs[name].type])
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            return np.rint(array).clip(limits.min, limits.max).astype(kind)
        return array.astype(kind)

    def _batch(self) -> int | None:
        """The batch that the file fixes."""
        found = [port.shape[0] for port in self._inputs.values() if port.shape]
        fixed = [size for size in found if isinstance(size, int) and size > 0]
        return fixed[0] if fixed else None


def relative_difference(found: Array, expected: Array) -> float:
    """The largest difference over the largest value expected; infinite where shapes differ or values are not
    finite in one alone."""
    if found.shape != expected.shape:
        return float("inf")
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(found - expected))
    finite = expected[np.isfinite(expected)]
    scale = max(float(np.abs(finite).max(initial=0.0)), 1e-6)
    worst = float(apart.max(initial=0.0)) / scale
    return worst if np.isfinite(worst) else float("inf")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
