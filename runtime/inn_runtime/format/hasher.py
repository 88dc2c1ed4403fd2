"""Digests of tensors, whole or read a block at a time."""

from __future__ import annotations

import collections
import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from concurrent.futures import Future

DIGEST_LENGTH = 32
"""Hexadecimal digits that are kept of a sha256: 128 bits."""

BLOCKS_WAITING = 2
"""How many blocks may wait for the thread: it bounds the memory that they take."""


def digest(array: npt.NDArray[np.generic]) -> str:
    """sha256 of a tensor's bytes (little endian, C order), the first 128 bits as hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:DIGEST_LENGTH]


class Hasher:
    """sha256 of arrays one after another.

    Parameters
    ----------
    in_thread : compute in a thread while the caller goes on; its start is worth it for large tensors
    """

    def __init__(self, in_thread: bool) -> None:
        self._sha256 = hashlib.sha256()
        self._waiting: collections.deque[Future[None]] = collections.deque()
        self._thread = None
        if in_thread:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1)

    def update(self, array: npt.NDArray[np.generic]) -> None:
        """Take the array's bytes; they must not change any more."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        if self._thread is None:
            self._sha256.update(data)
            return
        self._waiting.append(self._thread.submit(self._sha256.update, data))
        if len(self._waiting) > BLOCKS_WAITING:
            self._waiting.popleft().result()

    def digest(self) -> str:
        """The digest as a manifest has it; the last call."""
        if self._thread is not None:
            self._thread.shutdown()
        return self._sha256.hexdigest()[:DIGEST_LENGTH]
