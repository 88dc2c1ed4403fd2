"""Checks of what callers hand to an engine, the same for every engine and made before it is touched."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from .interface import Array, Buffer, TensorSpec

MAX_THREADS = 1024
"""The engine starts a thread per unit at once; a slip of the pen must not ask for a billion."""


def model_bytes(model: Buffer) -> npt.NDArray[np.uint8]:
    """The bytes of a model, without a copy; UsageError where it is no buffer."""
    try:
        return np.frombuffer(memoryview(model).cast("B"), dtype=np.uint8)
    except TypeError:
        raise UsageError(f"model: expected contiguous bytes, found {type(model).__name__}") from None


def check_threads(threads: int) -> int:
    """``threads`` if it is an integer from 1 to `MAX_THREADS`; UsageError otherwise."""
    whole = isinstance(threads, (int, np.integer)) and not isinstance(threads, bool)
    if not whole or not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"threads: expected an integer from 1 to {MAX_THREADS}, found {threads!r}")
    return int(threads)


def check_inputs(specs: Sequence[TensorSpec], inputs: Mapping[str, Array]) -> list[Array]:
    """The input arrays in the model's order; UsageError where one does not fit its spec."""
    _check_names(specs, inputs)
    arrays = []
    for spec in specs:
        array = inputs[spec.name]
        if not isinstance(array, np.ndarray):
            raise UsageError(f"input {spec.name!r}: expected an array, found {type(array).__name__}")
        if array.shape != spec.shape or array.dtype != spec.dtype:
            raise UsageError(
                f"input {spec.name!r}: expected {spec.dtype} {list(spec.shape)}, "
                f"found {array.dtype} {list(array.shape)}"
            )
        arrays.append(array)
    return arrays


def check_shapes(specs: Sequence[TensorSpec], shapes: Mapping[str, Sequence[int]]) -> list[tuple[int, ...]]:
    """The new input shapes in the model's order; UsageError where one cannot be an input's shape."""
    _check_names(specs, shapes)
    checked = []
    for spec in specs:
        found = shapes[spec.name]
        try:
            shape = tuple(operator.index(size) for size in found)
        except TypeError:
            raise UsageError(f"input {spec.name!r}: expected a shape, found {found!r}") from None
        if len(shape) != len(spec.shape) or not all(0 < size < 2**31 for size in shape):
            raise UsageError(
                f"input {spec.name!r}: expected a shape of {len(spec.shape)} positive numbers like "
                f"{list(spec.shape)}, found {list(shape)}"
            )
        checked.append(shape)
    return checked


def _check_names(specs: Sequence[TensorSpec], found: Iterable[str]) -> None:
    expected = [spec.name for spec in specs]
    found = list(found)
    if set(expected) != set(found):
        raise UsageError(f"inputs: expected the names {expected}, found {found}")
