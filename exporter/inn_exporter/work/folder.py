"""What an export has finished, in a folder: the same command goes on from there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from inn_runtime import UsageError
from inn_runtime.files import write_atomically

from ..graph.graph import Graph

SUFFIX = ".work"
_IDENTITY = "identity"


class WorkFolder:
    """Finished parts of one export, by name; each with its digest, so that a damaged one is made again.

    Parameters
    ----------
    path : the folder, which is made
    identity : of the export; what another has left there is removed

    Raises
    ------
    UsageError : the folder cannot be written, or something else lies there
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            if self.read(_IDENTITY) != identity.encode():
                others = [file for file in path.iterdir() if not file.name.endswith(SUFFIX)]
                if others:
                    raise UsageError(f"{path}: expected a work folder, found {others[0].name} in it")
                self.clear()
                self.write(_IDENTITY, identity.encode())
        except OSError as error:
            raise UsageError(f"{path}: cannot keep work there: {error.strerror}") from None

    @classmethod
    def opened(cls, path: Path) -> WorkFolder:
        """One that exists, whatever its export."""
        folder = cls.__new__(cls)
        folder.path = path
        return folder

    def read(self, name: str) -> bytes | None:
        """A finished part; None where there is none, or not a whole one."""
        try:
            content = self._file(name).read_bytes()
        except FileNotFoundError:
            return None
        length = hashlib.sha256().digest_size
        digest, rest = content[:length], content[length:]
        return rest if hashlib.sha256(rest).digest() == digest else None

    def write(self, name: str, content: bytes) -> None:
        """Keep a finished part."""
        write_atomically(self._file(name), hashlib.sha256(content).digest() + content)

    def clear(self) -> None:
        """Forget all parts."""
        for file in self.path.iterdir():
            file.unlink()

    def remove(self) -> None:
        """Remove the folder, when its export is done."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}{SUFFIX}"


def identity_of(graph: Graph, images: Mapping[str, np.ndarray], *facts: str) -> str:
    """What says that two exports do the same: the network, its images, and whatever else matters."""
    total = hashlib.sha256(repr((facts, graph.nodes)).encode())
    for arrays in (graph.constants, images):
        for name, array in sorted(arrays.items()):
            total.update(f"{name} {array.shape} {array.dtype}".encode())
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
