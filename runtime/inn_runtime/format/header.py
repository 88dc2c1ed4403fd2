"""The header of a safetensors file: untrusted bytes in, where each tensor lies out.

The safetensors package maps the file, and what happens to a mapped file ends the process that reads it. The
C++ core has the same reader (``store.cc``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import shown
from .json_fields import load_json

MAX_HEADER = 16 << 20
MAX_DIMENSIONS = 64

BYTES = {
    **{"F16": 2, "F32": 4, "I8": 1, "U8": 1, "BOOL": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2},
    **{"BF16": 2, "I32": 4, "U32": 4, "F64": 8, "I64": 8, "U64": 8},
}
"""The container's types, and bytes of a value; a bundle uses the first four."""

METADATA = "__metadata__"


@dataclass(frozen=True)
class Entry:
    """A tensor: the container's name of its type, its shape, where its bytes begin and end in the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def parse_header(text: bytes, data_bytes: int) -> tuple[dict[str, Entry], dict[str, str]]:
    """The tensors of a header, in the order of their bytes, and its metadata.

    Parameters
    ----------
    text : the JSON
    data_bytes : how many bytes follow it; the tensors must fill them

    Raises
    ------
    ValueError : it is no such header, or the file is not as long as it says
    """
    header = load_json(text.decode())
    if not isinstance(header, dict):
        raise ValueError("the header is no JSON object")
    metadata = header.pop(METADATA, None)
    entries = {name: _entry(name, value) for name, value in header.items()}
    end = 0
    ordered = dict(sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop, item[0])))
    for name, entry in ordered.items():
        if entry.start != end:
            raise ValueError(f"tensor {shown(name)}: expected to start at {end}")
        end = entry.stop
    if end != data_bytes:
        raise ValueError(f"expected {end} bytes of tensors, found {data_bytes}")
    return ordered, _metadata(metadata)


def _entry(name: str, value: Any) -> Entry:
    what = f"tensor {shown(name)}"
    if not isinstance(value, dict):
        raise ValueError(f"{what}: expected an object")
    dtype = value.get("dtype")
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise ValueError(f"{what}: unknown dtype")
    start, stop, *others = _numbers(value.get("data_offsets"), f"{what}: data_offsets", 2)
    shape = _numbers(value.get("shape"), f"{what}: shape", 0)
    count = BYTES[dtype]
    if others or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{what}: expected 2 data_offsets and at most {MAX_DIMENSIONS} dimensions")
    for size in shape:
        count *= size
    if stop - start != count:
        raise ValueError(f"{what}: shape and data_offsets do not fit")
    return Entry(dtype, shape, start, stop)


def _numbers(value: Any, what: str, least: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) < least:
        raise ValueError(f"{what}: expected a list of at least {least}")
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in value):
        raise ValueError(f"{what}: expected integers of at least 0")
    return tuple(value)


def _metadata(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError(f"{METADATA}: expected an object of texts")
    return value
