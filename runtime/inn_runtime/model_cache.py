"""Resampled models kept on disk, so that the next process need not sample them again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from .errors import InnError, UsageError
from .files import write_atomically
from .version import __version__

HEADER = struct.Struct("<8sQ")
"""Each file begins with a mark and the CRC-32 of the rest: the engine might crash on a damaged model."""

MARK = b"INNMODEL"

_log = logging.getLogger(__name__)


class ModelCache:
    """A folder of resampled models, the least recently used of which are removed when it grows too large.

    Several processes may share it. That it cannot be written to is said once, and otherwise no error.

    Parameters
    ----------
    folder : default: ``models`` in the cache of this package
    max_mb : megabytes that all files together may take
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, max_mb: float = 256) -> None:
        if not max_mb > 0:
            raise UsageError(f"max_mb: expected a positive number, found {max_mb!r}")
        self.folder = _default_folder() if folder is None else Path(folder)
        self.max_bytes = max_mb * 1e6
        self._said = False

    def content(self, key: tuple[object, ...], make: Callable[[], memoryview]) -> memoryview:
        """The bytes of a `.ms` model: from the cache, or made and put there.

        Parameters
        ----------
        key : all that decides the bytes, besides the version of this package; its ``repr`` tells keys apart
        make : called where the cache has no such model
        """
        path = self._path(key)
        found = self._read(path)
        if found is not None:
            return found
        content = make()
        if len(content) <= self.max_bytes:
            self._write(path, content)
        return content

    def _path(self, key: tuple[object, ...]) -> Path:
        name = hashlib.sha256(repr((__version__, *key)).encode()).hexdigest()[:32]
        return self.folder / f"{name}.model"

    def _read(self, path: Path) -> memoryview | None:
        try:
            stored = memoryview(path.read_bytes())
        except OSError:  # not there, or not for us: it is made
            return None
        content = stored[HEADER.size :]
        if bytes(stored[: HEADER.size]) != _header(content):
            _log.warning("the cached model %s is damaged: resampling anew", path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of its latest use
        return content

    def _write(self, path: Path, content: memoryview) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, _header(content), content)
            self._evict()
        except (OSError, InnError) as error:
            if not self._said:
                self._said = True
                _log.warning("resampled models are not kept: %s", error)

    def _evict(self) -> None:
        files = []
        for path in self.folder.glob("*.model"):
            with contextlib.suppress(OSError):  # another process was faster
                state = path.stat()
                files.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.max_bytes:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size


def _header(content: memoryview) -> bytes:
    return HEADER.pack(MARK, zlib.crc32(content))


def _default_folder() -> Path:
    from .engine.library import cache_folder  # which imports much that only a download needs

    return cache_folder() / "models"
