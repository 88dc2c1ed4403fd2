"""Where a bundle's tensors lie: in a safetensors file, or in memory; and what they are called there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from ..errors import BundleError, UsageError, shown

METADATA_KEY = "innlite"
"""Of the manifest, in the container's metadata."""

SOURCE_KEY = "source.onnx"
"""Of the source network, which is no values but bytes."""

SCALE_SUFFIX = ".scale"
"""After an integer tensor's key: the key of its scale."""

DTYPES = {"F16": "float16", "F32": "float32", "I8": "int8", "U8": "uint8"}
"""The container's name of a type → NumPy's."""

INTEGERS = ("int8", "uint8")
"""Types of values that a scale belongs to; uint8 holds packed integers."""

Layout = Mapping[str, tuple[str, tuple[int, ...]]]
"""Name of a tensor → (NumPy dtype, shape) as it is stored."""


class TensorStore(Protocol):
    """Where a bundle's tensors come from: a mapped file, or memory while exporting."""

    def layout(self) -> Layout:
        """Name → (NumPy dtype, shape), without reading any values."""
        ...

    def read(self, key: str, start: int, stop: int) -> npt.NDArray[np.generic]:
        """Rows ``start`` to ``stop`` of the first dimension; a scalar is one row of one value."""
        ...


class MemoryStore:
    """Tensors held in memory."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self.tensors = dict(tensors)

    def layout(self) -> Layout:
        return {k: (v.dtype.name, v.shape) for k, v in self.tensors.items()}

    def read(self, key: str, start: int, stop: int) -> npt.NDArray[np.generic]:
        array: npt.NDArray[np.generic] = np.atleast_1d(self.tensors[key])[start:stop]
        return array


class FileStore:
    """Tensors of a memory-mapped safetensors file. The file must stay as it is, but may be replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._absolute = path.absolute()
        try:
            self._state = os.stat(self._absolute)
            self._file = cast(Any, safe_open(str(path), framework="numpy"))
            self.metadata: dict[str, str] = self._file.metadata() or {}
        except (SafetensorError, ValueError, OverflowError) as error:
            reason = shown(str(error))[1:-1]
            raise BundleError(f"{path}: not an INN-Lite bundle, or a truncated one ({reason})") from None
        except OSError as error:  # it is gone again, or cannot be mapped
            raise UsageError(f"{path}: {error.strerror or error}") from None

    def layout(self) -> Layout:
        result = {}
        for key in self._file.keys():  # noqa: SIM118 - not a mapping
            part = self._file.get_slice(key)
            kind = part.get_dtype()
            if kind not in DTYPES:
                raise BundleError(
                    f"{self.path}: tensor {shown(key)}: expected {', '.join(DTYPES)}, found {kind}"
                )
            result[key] = (DTYPES[kind], tuple(part.get_shape()))
        return result

    def read(self, key: str, start: int, stop: int) -> npt.NDArray[np.generic]:
        self._check_unchanged()
        part = self._file.get_slice(key)
        array: npt.NDArray[np.generic] = part[start:stop] if part.get_shape() else self._file.get_tensor(key)
        return array.reshape(1) if array.ndim == 0 else array

    def _check_unchanged(self) -> None:
        """Reading a mapped file that was truncated would end the process."""
        try:
            now = os.stat(self._absolute)
        except OSError:  # removed: the mapping still holds it
            return
        then = self._state
        if os.path.samestat(now, then) and (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise BundleError(f"{self.path}: the file has changed since it was opened")
