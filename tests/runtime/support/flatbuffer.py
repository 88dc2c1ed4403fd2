"""Reading a FlatBuffer with nothing but its generic tables."""

from __future__ import annotations

import struct
from typing import Any

from flatbuffers.table import Table


class Reader:
    """A FlatBuffer table whose fields are asked for by slot."""

    def __init__(self, content: bytes, position: int) -> None:
        self.content = content
        self.table = Table(bytearray(content), position)

    @classmethod
    def root(cls, content: bytes) -> Reader:
        return cls(content, struct.unpack_from("<I", content)[0])

    def _offset(self, slot: int) -> int:
        offset: int = self.table.Offset(4 + 2 * slot)
        assert offset, f"slot {slot} is absent"
        return offset

    def has(self, slot: int) -> bool:
        return self.table.Offset(4 + 2 * slot) != 0

    def scalar(self, slot: int, code: str) -> Any:
        position = self.table.Pos + self._offset(slot)
        assert position % struct.calcsize(code) == 0, "a scalar is misaligned"
        return struct.unpack_from(f"<{code}", self.content, position)[0]

    def text(self, slot: int) -> str:
        return self.table.String(self.table.Pos + self._offset(slot)).decode()

    def child(self, slot: int) -> Reader:
        return Reader(self.content, self.table.Indirect(self.table.Pos + self._offset(slot)))

    def start(self, slot: int) -> int:
        """Position of a vector's first element."""
        position: int = self.table.Vector(self._offset(slot))
        return position

    def vector(self, slot: int, code: str) -> list[Any]:
        count = self.table.VectorLen(self._offset(slot))
        return list(struct.unpack_from(f"<{count}{code}", self.content, self.start(slot)))

    def children(self, slot: int) -> list[Reader]:
        count, start = self.table.VectorLen(self._offset(slot)), self.start(slot)
        return [Reader(self.content, self.table.Indirect(start + 4 * i)) for i in range(count)]
