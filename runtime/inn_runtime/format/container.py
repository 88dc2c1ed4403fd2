"""The `.inn` file: one safetensors container with a manifest, opened and read."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, UsageError
from .checks import check_tensors
from .graph_rules import GraphRules
from .hasher import DIGEST_LENGTH, Hasher, digest
from .json_fields import decode
from .manifest import Manifest
from .packed import packed_bits, packed_length, unpack
from .parser import parse
from .stores import INTEGERS, METADATA_KEY, SCALE_SUFFIX, SOURCE_KEY, FileStore, TensorStore

BLOCK_BYTES = 1 << 20
"""How much of a tensor is read at a time, in float32: it bounds the memory that resampling takes."""

THREADED_VALUES = 1 << 18
"""From this many values on, a tensor's digest is computed beside the sampling, in a thread."""

Array = npt.NDArray[np.float32]


class Container:
    """An opened file. Its structure has been checked; tensor values are checked at their first use.

    Attributes
    ----------
    source : the file's name, used in messages
    manifest : the parsed manifest
    graph_rules : what the graph must keep at every size before the engine sees it

    Parameters
    ----------
    allow_primitives : numbers of primitives that the graph may hold though there is no rule for them

    Raises
    ------
    BundleError : tensors are not those of the manifest, or the graph breaks a rule
    """

    def __init__(
        self, manifest: Manifest, store: TensorStore, source: str, allow_primitives: Collection[int] = ()
    ) -> None:
        self.manifest = manifest
        self.source = source
        self._store = store
        self._checked: set[str] = set()
        self._layout = store.layout()
        self._shapes = check_tensors(manifest, self._layout, source)
        self.graph_rules = GraphRules(manifest, source, allow_primitives)
        self.graph_rules.check_sizes()

    def tensor(self, key: str) -> Array:
        """Values of a bundle tensor as float32. Its first use checks digest and finiteness."""
        shape = self._shapes[key]
        values = np.empty(shape or (1,), np.float32)
        start = 0
        for block in self.blocks(key):
            values[start : start + len(block)] = block
            start += len(block)
        return values.reshape(shape)

    def storage(self, key: str) -> str:
        """How a tensor is stored: ``float32``, ``float16``, or ``int`` and the number of bits."""
        dtype, found = self._layout[key]
        bits = packed_bits(found[0], math.prod(self._shapes[key])) if dtype == "uint8" else None
        return dtype if bits is None else f"int{bits}"

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


def open_file(path: str | os.PathLike[str]) -> tuple[Manifest, FileStore, str]:
    """Open a bundle's file and parse its manifest; no tensor is read yet.

    Returns
    -------
    What `Container` takes: the manifest, the tensors, the file's name.

    Raises
    ------
    UsageError : there is no such file, or it cannot be read
    BundleError : it is no bundle, is damaged or of another version
    """
    file = Path(path)
    store = FileStore(file)
    text = store.metadata.get(METADATA_KEY)
    if text is None:
        raise BundleError(f"{file}: a safetensors file, but not an INN-Lite bundle (no {METADATA_KEY!r} key)")
    source = str(file)
    return parse(decode(text, source), source), store, source
