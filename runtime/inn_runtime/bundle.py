"""The `.inn` file: one safetensors container with a manifest (docs/bundle-format.md)."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from .budget import Budget
from .errors import BundleError, UsageError
from .fields import shown
from .hasher import Hasher
from .manifest import Manifest
from .manifest_parser import DIGEST_LENGTH, parse
from .packed import BITS, packed_bits, packed_length, unpack
from .plan import make_plan

if TYPE_CHECKING:
    from .model import Model
    from .model_cache import ModelCache

METADATA_KEY = "innlite"
DTYPES = {"F16": "float16", "F32": "float32", "I8": "int8", "U8": "uint8"}
INTEGERS = ("int8", "uint8")
"""Types of values that a scale belongs to; uint8 holds packed integers."""
SCALE_SUFFIX = ".scale"
SOURCE_KEY = "source.onnx"
MAX_HEADER = 16 << 20
MAX_ELEMENTS = 1 << 29
"""Of a stored tensor: what a `.ms` file can hold."""
BLOCK_BYTES = 1 << 20
"""How much of a tensor is read at a time, in float32: it bounds the memory that resampling takes."""

THREADED_VALUES = 1 << 18
"""From this many values on, a tensor's digest is computed beside the sampling, in a thread."""

Array = npt.NDArray[np.float32]


class TensorStore(Protocol):
    """Where a bundle's tensors come from: a mapped file, or memory while exporting."""

    def layout(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """Name → (NumPy dtype, shape), without reading any values."""
        ...

    def read(self, key: str, start: int, stop: int) -> npt.NDArray[np.generic]:
        """Rows ``start`` to ``stop`` of the first dimension; a scalar is one row of one value."""
        ...


class MemoryStore:
    """Tensors held in memory."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self.tensors = dict(tensors)

    def layout(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
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

    def layout(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
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


class Bundle:
    """An opened bundle. Its structure has been checked; tensor values are checked at their first use.

    Attributes
    ----------
    source : the file's name, used in messages
    manifest : the parsed manifest
    cache : where resampled models are kept, None for nowhere
    """

    def __init__(
        self, manifest: Manifest, store: TensorStore, source: str, cache: ModelCache | None = None
    ) -> None:
        self.manifest = manifest
        self.source = source
        self.cache = cache
        self._store = store
        self._checked: set[str] = set()
        self._layout = store.layout()
        self._shapes = _check_tensors(manifest, self._layout, source)

    def tensor(self, key: str) -> Array:
        """Values of a bundle tensor as float32. Its first use checks digest and finiteness."""
        shape = self._shapes[key]
        values = np.empty(shape or (1,), np.float32)
        start = 0
        for block in self.blocks(key):
            values[start : start + len(block)] = block
            start += len(block)
        return values.reshape(shape)

    def blocks(self, key: str, rows: int | None = None, widen: bool = True) -> Iterator[npt.NDArray[Any]]:
        """The first ``rows`` (default: all) of a tensor's first dimension, some at a time, as float32.

        Without ``widen`` float16 may stay as it is stored: what is cut away need not be converted.
        The first use checks digest and finiteness of the whole tensor, so an error may come after the
        last block: nothing is to be done with the values before the end.
        """
        dtype, found = self._layout[key]
        shape = self._shapes[key]
        count, row = (shape[0] if shape else 1), math.prod(shape[1:])
        rows = count if rows is None else rows
        bits = packed_bits(found[0], count * row) if dtype == "uint8" else None
        scale = np.atleast_1d(self.tensor(key + SCALE_SUFFIX)) if dtype in INTEGERS else None
        first_use = key not in self._checked
        finite = True
        hasher = Hasher(in_thread=first_use and math.prod(found) >= THREADED_VALUES)
        step = max(1, BLOCK_BYTES // (4 * row))
        if bits is not None:  # blocks begin at a byte
            whole = 8 // math.gcd(8, row * bits)
            step = -(-step // whole) * whole
        for start in range(0, count if first_use else rows, step):
            stop = min(start + step, count)
            if bits is None:
                stored = integers = self._store.read(key, start, stop)
            else:
                first, end = (packed_length(n * row, bits) for n in (start, stop))
                stored = self._store.read(key, first, end)
                integers = unpack(stored.view(np.uint8), bits, (stop - start) * row)
            if widen or first_use or scale is not None:
                integers = integers.astype(np.float32, copy=False)
            values: npt.NDArray[Any] = integers.reshape(stop - start, *shape[1:])
            if scale is not None:
                with np.errstate(over="ignore"):  # the check below says it better
                    values *= scale if len(scale) == 1 else scale[start:stop]
            if first_use:
                hasher.update(stored)
                finite = finite and bool(np.isfinite(values).all())
            if start < rows and finite:
                yield values[: rows - start]
        if first_use:
            self._check_digest(key, hasher.digest())
            if not finite:
                raise BundleError(f"{self.source}: tensor {key!r} holds values that are not finite")
            self._checked.add(key)

    def _check_digest(self, key: str, found: str) -> None:
        expected = self.manifest.digests[key]
        if found != expected:
            raise BundleError(
                f"{self.source}: tensor {key!r} is damaged: expected sha256 {expected[:16]}…, "
                f"found {found[:16]}…"
            )

    def source_model(self) -> bytes:
        """The source network without its weights, as ONNX (read by the exporter alone)."""
        if SOURCE_KEY not in self.manifest.digests:
            raise BundleError(f"{self.source}: the bundle does not carry its source graph")
        stored = self._store.read(SOURCE_KEY, 0, self._layout[SOURCE_KEY][1][0])
        self._check_digest(SOURCE_KEY, digest(stored))
        return stored.tobytes()

    def verify(self) -> Iterator[str]:
        """Check every tensor's digest and finiteness; yields each name once it is known to be good."""
        for key in self.manifest.digests:
            if key == SOURCE_KEY:
                self.source_model()
            else:
                for _ in self.blocks(key):
                    pass
            yield key

    def resample(
        self, size: float | str | Budget, *, weights: str = "float32", threads: int = 1, engine: str = "auto"
    ) -> Model:
        """The network at a size. No weight is computed yet.

        Parameters
        ----------
        size : a preset's name, a number in (0, 1], or a budget: then the largest size within it
        weights : ``float32`` or ``float16`` (half the `.ms` file, the same speed) in the model
        threads, engine : what a budget's latency and memory are measured with, see `Model.session`

        Raises
        ------
        UsageError : unknown preset, a size outside the bundle's range, a budget that no size keeps
        EngineError : MindSpore Lite is missing or failed while a budget was measured
        """
        from .model import Model

        if isinstance(size, Budget):
            from .solver import choose

            size = choose(self, size, weights=weights, threads=threads, engine=engine).size
        return Model(self, make_plan(self.manifest, size), weights)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the contents: the manifest, which holds the digest of every tensor."""
        return hashlib.sha256(repr(self.manifest).encode()).hexdigest()[:DIGEST_LENGTH]

    @property
    def file_digest(self) -> str:
        """sha256 of the whole file."""
        hasher = hashlib.sha256()
        try:
            with open(self.source, "rb") as stream:
                while block := stream.read(1 << 20):
                    hasher.update(block)
        except OSError as error:
            raise UsageError(f"{self.source}: {error.strerror}") from None
        return hasher.hexdigest()


def digest(array: npt.NDArray[np.generic]) -> str:
    """sha256 of a tensor's bytes (little endian, C order), the first 128 bits as hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:DIGEST_LENGTH]


def open_bundle(path: str | os.PathLike[str], cache: ModelCache | None = None) -> Bundle:
    """Open a bundle: map the file and check its structure; no tensor is read yet.

    Parameters
    ----------
    cache : keeps resampled models on disk for the next process

    Raises
    ------
    UsageError : there is no such file, or it cannot be read
    BundleError : it is no bundle, is damaged or of another version
    """
    file = Path(path)
    try:
        # Opening a pipe would wait for its writer; a device has no size.
        special = file.exists() and not file.is_file() and not file.is_dir()
        start = b"" if special else _first_bytes(file, 8)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError as error:  # a zero character
        raise UsageError(f"{str(file)!r}: expected a file name: {error}") from None
    if special:
        raise UsageError(f"{file}: expected a file, found a device or pipe")
    if len(start) < 8 or int.from_bytes(start, "little") > MAX_HEADER:
        raise BundleError(f"{file}: not an INN-Lite bundle (no safetensors header)")
    store = FileStore(file)
    text = store.metadata.get(METADATA_KEY)
    if text is None:
        raise BundleError(f"{file}: a safetensors file, but not an INN-Lite bundle (no {METADATA_KEY!r} key)")
    return Bundle(parse(_json(text, str(file)), str(file)), store, str(file), cache)


def _first_bytes(file: Path, count: int) -> bytes:
    with open(file, "rb") as stream:
        return stream.read(count)


def _json(text: str, source: str) -> object:
    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise ValueError(f"the key {shown(key)} occurs twice")
            result[key] = value
        return result

    def finite(number: str) -> float:
        value = float(number)
        return refuse(shown(number)) if math.isinf(value) else value

    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{source}: the manifest is not valid JSON ({error})") from None


def _check_tensors(
    manifest: Manifest, layout: Mapping[str, tuple[str, tuple[int, ...]]], source: str
) -> dict[str, tuple[int, ...]]:
    """Names, dtypes and shapes of the stored tensors against the manifest, before any is read.

    Returns
    -------
    Name → shape of its values, which packed integers do not have in the file; without the source network
    """
    expected: dict[str, tuple[int, ...]] = {}
    scales: set[str] = set()

    def expect(key: str, shape: tuple[int, ...]) -> None:
        if key == SOURCE_KEY:
            raise BundleError(f"{source}: tensor {key!r} is the source network, but is used as values")
        if expected.setdefault(key, shape) != shape:
            raise BundleError(f"{source}: tensor {key!r} is used with shapes {expected[key]} and {shape}")

    for weight in manifest.weights:
        expect(f"weight/{weight.name}", weight.shape(manifest.full_widths))
    ports = {port.name: port for port in manifest.outputs}
    for size in manifest.sizes:
        for index, key in size.tables.items():
            group = manifest.quadratures[index].group
            expect(key, (manifest.groups[group].axis.size, size.widths[group]))
        for index, key in [*size.overrides.items(), *size.corrections.items()]:
            expect(key, manifest.weights[index].shape(size.widths))
        for group, key in size.grids.items():
            expect(key, (2, size.widths[group]))
        for name, key in size.check.items():
            if name not in ports:
                raise BundleError(f"{source}: the self-check names an unknown output {name!r}")
            expect(key, ports[name].shape)
    for key, shape in list(expected.items()):
        if key in layout and layout[key][0] in INTEGERS:
            scales.add(key + SCALE_SUFFIX)
            expect(key + SCALE_SUFFIX, _scale_shape(key, shape, layout, source))
    for key, (dtype, found) in layout.items():
        if key == SOURCE_KEY:
            if dtype != "uint8" or len(found) != 1 or found[0] == 0:
                raise BundleError(f"{source}: tensor {key!r}: expected bytes, found {dtype} {found}")
        elif key not in expected:
            raise BundleError(f"{source}: tensor {shown(key)} is not in the manifest")
        else:
            if dtype in INTEGERS and key in scales:
                raise BundleError(f"{source}: tensor {key!r}: expected float16 or float32, found {dtype}")
            _check_shape(key, expected[key], dtype, found, source)
        if key not in manifest.digests:
            raise BundleError(f"{source}: tensor {key!r} has no digest in the manifest")
    for key in [*expected, *manifest.digests]:
        if key not in layout:
            raise BundleError(f"{source}: tensor {key!r} is missing from the file")
    return expected


def _check_shape(key: str, shape: tuple[int, ...], dtype: str, found: tuple[int, ...], source: str) -> None:
    """What a tensor's values should be against how it lies in the file."""
    count = math.prod(shape)
    if dtype == "uint8":
        if len(found) != 1 or packed_bits(found[0], count) is None:
            bits = f"{BITS[0]} to {BITS[-1]} bits"
            raise BundleError(
                f"{source}: tensor {key!r}: expected shape {shape} packed in {bits}, found bytes {found}"
            )
    elif found != shape:
        raise BundleError(f"{source}: tensor {key!r}: expected shape {shape}, found {found}")
    if count > MAX_ELEMENTS:
        raise BundleError(
            f"{source}: tensor {key!r}: expected at most {MAX_ELEMENTS} elements, found {shape}"
        )


def _scale_shape(
    key: str, shape: tuple[int, ...], layout: Mapping[str, tuple[str, tuple[int, ...]]], source: str
) -> tuple[int, ...]:
    """The shape of integers' scale: it must broadcast along each dimension that it does not follow."""
    _, found = layout.get(key + SCALE_SUFFIX, ("", (1,) * len(shape)))
    if len(found) != len(shape) or any(f not in (1, s) for f, s in zip(found, shape)):
        raise BundleError(
            f"{source}: tensor {key + SCALE_SUFFIX!r}: expected each dimension of {shape} or 1, found {found}"
        )
    return found
