"""Whether a shared library is whole: the loader maps what is missing, and the process ends as it touches it.

Standard library only: ``setup.py`` uses this package too.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")


def defect(path: Path) -> str | None:
    """What keeps a file from being a whole 64-bit little-endian ELF file, or None.

    Its headers are read, and that the file is as long as they say; not what the segments hold.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(_HEADER.size)
            if len(start) < _HEADER.size or start[:6] != b"\x7fELF\x02\x01":
                return f"{path.name} is no 64-bit ELF library"
            fields = _HEADER.unpack(start)
            segments, sections, count = fields[5], fields[6], fields[10]
            end = sections + fields[11] * fields[12]
            file.seek(min(segments, size))
            table = file.read(_SEGMENT.size * count)
    except OSError as error:
        return f"{path.name}: {error.strerror or error}"
    if fields[9] != _SEGMENT.size or len(table) < _SEGMENT.size * count:
        return f"{path.name} is truncated or damaged"
    for _, _, offset, _, _, length, *_ in _SEGMENT.iter_unpack(table):
        end = max(end, offset + length)
    return None if end <= size else f"{path.name} is truncated: expected {end} bytes, found {size}"
