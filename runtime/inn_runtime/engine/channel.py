"""Messages between a process and its worker: a JSON header and arrays, over a socket of their own.

A message is the header's length (4 bytes, little-endian), the header, and the bytes of the arrays that the
header's entry ``arrays`` describes, one after another. Nothing is pickled.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .interface import Array

Header = dict[str, Any]

_LENGTH = struct.Struct("<I")

_PATIENCE = 0.5
"""Seconds without progress after which one looks whether the other side is still there."""


class Channel:
    """One end of the connection.

    Parameters
    ----------
    check : called whenever nothing moved for a while; it raises when waiting is in vain, because the end
        of the connection alone does not tell: a forked process may hold it open
    """

    def __init__(self, connection: socket.socket, check: Callable[[], None]) -> None:
        self._connection = connection
        self._check = check
        connection.settimeout(_PATIENCE)

    def send(self, header: Header, arrays: Sequence[Array] = ()) -> None:
        """Send a message. OSError where the other side is gone."""
        described = [{"dtype": array.dtype.str, "shape": array.shape} for array in arrays]
        text = json.dumps({**header, "arrays": described}).encode()
        self._send_bytes(_LENGTH.pack(len(text)) + text)
        for array in arrays:
            self._send_bytes(_bytes_of(np.ascontiguousarray(array)))

    def receive(self) -> tuple[Header, list[Array]]:
        """Wait for a message. EOFError or OSError where the other side is gone."""
        length = bytearray(_LENGTH.size)
        self._receive_bytes(memoryview(length))
        text = bytearray(_LENGTH.unpack(length)[0])
        self._receive_bytes(memoryview(text))
        header = json.loads(text)
        arrays = [np.empty(entry["shape"], np.dtype(entry["dtype"])) for entry in header.pop("arrays")]
        for array in arrays:
            self._receive_bytes(_bytes_of(array))
        return header, arrays

    def close(self) -> None:
        self._connection.close()

    def _send_bytes(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._connection.send(rest) :]
            except socket.timeout:
                self._check()

    def _receive_bytes(self, rest: memoryview) -> None:
        while rest:
            try:
                count = self._connection.recv_into(rest)
            except socket.timeout:
                self._check()
                continue
            if count == 0:
                raise EOFError("the connection was closed")
            rest = rest[count:]


def _bytes_of(array: Array) -> memoryview:
    """The memory of a contiguous array of any rank and type."""
    return array.reshape(-1).view(np.uint8).data
