"""Where a bundle's tensors lie: in a safetensors file, or in memory; and what they are called there."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, UsageError, shown
from .header import MAX_HEADER, parse_header

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
    """Where a bundle's tensors come from: a file, or memory while exporting."""

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
    """Tensors of a safetensors file that is held open. It must stay as it is, but may be replaced.

    It is read, not mapped: reading a mapping of a file that another process truncates ends this one.

    Raises
    ------
    UsageError : there is no such file, or it cannot be read
    BundleError : it is none, or a truncated one
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Opening a pipe would wait for its writer; a device has no size.
            special = path.exists() and not path.is_file() and not path.is_dir()
            self._file = os.open(os.devnull if special else path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            self._state = os.fstat(self._file)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from None
        except ValueError as error:  # a zero character
            raise UsageError(f"{str(path)!r}: expected a file name: {error}") from None
        if special:
            raise UsageError(f"{path}: expected a file, found a device or pipe")
        start = self._bytes(0, min(8, self._state.st_size))
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > MAX_HEADER:
            raise BundleError(f"{path}: not an INN-Lite bundle (no safetensors header)")
        self._data = 8 + length
        try:
            if self._data > self._state.st_size:
                raise ValueError("the file is shorter than its header")
            header = self._bytes(8, length)
            self._entries, self.metadata = parse_header(header, self._state.st_size - self._data)
        except ValueError as error:
            if isinstance(error, BundleError):
                raise
            reason = shown(str(error))[1:-1]
            raise BundleError(f"{path}: not an INN-Lite bundle, or a truncated one ({reason})") from None

    def layout(self) -> Layout:
        result = {}
        for key, entry in self._entries.items():
            if entry.dtype not in DTYPES:
                raise BundleError(
                    f"{self.path}: tensor {shown(key)}: expected {', '.join(DTYPES)}, found {entry.dtype}"
                )
            result[key] = (DTYPES[entry.dtype], entry.shape)
        return result

    def read(self, key: str, start: int, stop: int) -> npt.NDArray[np.generic]:
        entry = self._entries[key]
        rows, *rest = entry.shape or (1,)
        shape = (min(stop, rows) - start, *rest)
        array: npt.NDArray[np.generic] = np.empty(shape, np.dtype(DTYPES[entry.dtype]).newbyteorder("<"))
        row = math.prod(rest) * array.itemsize
        self._read_into(self._data + entry.start + start * row, array.reshape(-1).view(np.uint8).data)
        return array

    def _bytes(self, offset: int, count: int) -> bytes:
        content = bytearray(count)
        self._read_into(offset, memoryview(content))
        return bytes(content)

    def _read_into(self, offset: int, target: memoryview) -> None:
        """Fill ``target``. BundleError where the file is not what was opened."""
        now, then = os.fstat(self._file), self._state
        good = (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns)
        try:
            while good and len(target):
                count = os.preadv(self._file, [target], offset)
                good = count > 0
                offset, target = offset + count, target[count:]
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror or error}") from None
        if not good:
            raise BundleError(f"{self.path}: the file has changed since it was opened")
