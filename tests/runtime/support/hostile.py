"""Bundles that are refused, and how: what the Python and the C++ loader are both tried with."""

from __future__ import annotations

import struct
from typing import Any

import inn_runtime as inn
from hypothesis import strategies as st

WRONG_FIELDS: list[tuple[str, Any, str]] = [
    ("format_version", 1, "format version 1; this runtime reads version 2"),
    ("format_version", "1", "format_version: expected an integer"),
    ("name", 3, "manifest.name: expected a text, found 3"),
    ("groups.0.size", 0, r"groups\[0\].size: expected an integer from 1"),
    ("groups.0.size", 9, "full widths at size 1"),
    ("groups.0.size", 1 << 40, "groups"),
    ("groups.0.size", True, "groups"),
    ("groups.0.size", 8.0, "groups"),
    ("groups.0.kernel", "spline", "one of selection, nearest, linear, cubic"),
    ("groups.1.name", "g0", "occurs twice"),
    ("weights.0.name", "w1", "occurs twice"),
    ("weights.0.dims", [], "expected shape"),
    ("weights.0.dims.0", [], "not empty"),
    ("weights.0.dims.0.0.group", 2, "from 0 to 1"),
    ("weights.0.dims.0.0.group", -1, "from 0 to 1"),
    ("weights.2.dims.3.0.quadrature", 1, "over the segment's own group"),
    ("weights.2.dims.3.0.inner", 1 << 30, "expected shape"),
    ("tensors.0.dims", [1] * 9, "at most 8"),
    ("tensors.3.weight", 99, "from 0 to 5"),
    ("tensors.10.shape", [5], "4 elements"),
    ("tensors.10.values", [[[1, 7]]] * 4, "from 0 to 1"),
    ("nodes.0.primitive", 0, "from 1 to 255"),
    ("nodes.0.inputs", [0, 1, 99], "from 0 to 13"),
    ("nodes.0.inputs", [12, 1, 2], "nothing has written yet"),
    ("nodes.1.outputs", [7], "a second time"),
    ("nodes.5.outputs", [0], "a second time"),
    ("nodes.0.attributes.0", [0, "int"], "expected 3 entries, found 2"),
    ("nodes.0.attributes.0", [0, "pickle", 1], "one of bool"),
    ("nodes.0.attributes.0", [300, "int", 1], "from 0 to 255"),
    ("outputs.0.tensor", 99, "from 0 to 13"),
    ("sizes", [], "increasing sizes that end with 1"),
    ("sizes.0.size", 1.0, "increasing sizes"),
    ("sizes.0.size", 0, "a number from"),
    ("sizes.0.widths", [4], "expected 2 entries, found 1"),
    ("sizes.0.widths", [0, 3], "from 1 to 8"),
    ("sizes.0.widths", [9, 3], "from 1 to 8"),
    ("sizes.0.widths", [5, 3], "expected shape"),
    ("sizes.0.tables", {"7": "table/0@0.5"}, "key below 2"),
    ("sizes.0.tables", {"-1": "table/0@0.5"}, "key below 2"),
    ("sizes.0.tables", {"0": "nowhere"}, "missing from the file|not in the manifest"),
    ("sizes.0.check", {"nobody": "weight/b2"}, "unknown output"),
    ("sizes.1.widths", [4, 3], "full widths at size 1"),
    ("presets", {"huge": 1.5}, "from 1e-06 to 1"),
    ("macs", [[1, 5]], "from 0 to 1"),
    ("digests", {}, "no digest"),
    ("digests", {"weight/w0": "\n"}, r"weight/w0: expected Unicode text without control"),
    ("digests", {"weight/w0": "0" * 31}, "32 hexadecimal digits"),
    ("digests", {"weight/w0": "0" * 64}, "32 hexadecimal digits"),
    ("digests", {"weight/w0": "A" * 32}, "32 hexadecimal digits"),
    ("schedule", "random", "schedule: expected one of uniform, flops, params, latency, found 'random'"),
    ("schedule", None, "schedule: expected one of uniform"),
    ("schedule", ["flops"], "schedule: expected one of uniform"),
    ("name", "a\x1b[31m", "without control characters"),
    ("name", "a\0", "without control characters"),
    ("labels.0", "\u202eb", "without control characters"),
    ("name", "x" * 20_000, "at most 16384 long, found 'xxx"),
    ("name", [[0] * 1000] * 1000, r"a text, found \[\["),
    ("producer", {"a\n": "b"}, "producer: key: expected Unicode text"),
    ("presets", {"x" * (1 << 20): 1}, "presets: key: expected Unicode text"),
    ("presets", {"\u200d" + "x" * 10_000: 2}, r"presets.'\\u200dxxx"),
    ("presets", dict.fromkeys(map(str, range(70_000)), 1), "at most 65536 members"),
    ("curve", {"n": "a\n"}, r"curve.n: expected an integer"),
    ("curve", {"metrics": [1]}, r"curve.metrics\[0\]: expected a text"),
    ("curve", [], "curve: expected an object"),
    ("macs", [[1, 0], [-9]], "macs: expected an expression that is at least 0 at every size"),
    ("tensors.7.dims", [1 << 31], "an integer from 1 to 2147483647"),
    ("tensors.7.dims", [1 << 20] * 8, "at most 134217728 elements"),
    ("tensors.10.shape", [4] + [1] * 8, "at most 8 dimensions"),
    ("tensors.10", {"name": "order", "values": [], "shape": [0, 1 << 31]}, "from 0 to 2147483647"),
    ("tensors.10.values", [0] * 65537, "at most 65536 entries, found 65537"),
    ("nodes.0.attributes.1", [1, "longs", [0] * 65537], "at most 65536 entries, found 65537"),
    ("nodes.4.attributes", [[0, "long", 1], [0, "longs", []]], "attributes in different slots"),
    ("nodes.0.outputs", [], "node 'c0': expected at least one output"),
    ("outputs.0", {"name": "image", "tensor": 0, "shape": [1, 2, 5, 4]}, "no node writes its tensor 0"),
    ("outputs.0", {"name": "b2", "tensor": 6, "shape": [3]}, "no node writes its tensor 6"),
    ("sizes.0.tables", {"0": "table/0@0.5", "00": "table/0@0.5"}, "expected a key below 2, found '00'"),
    ("sizes.1.overrides", {"3": "weight/b1"}, "no tables, overrides, corrections or grids at size 1"),
    ("sizes.1.corrections", {"3": "weight/b1"}, "no tables, overrides, corrections or grids at size 1"),
    ("sizes.1.grids", {"0": "weight/b1"}, "no tables, overrides, corrections or grids at size 1"),
    ("sizes.0.corrections", {"3": "weight/b1"}, "corrections: expected no weight that is overridden"),
    ("sizes.0.corrections", {"6": "weight/b1"}, "expected a key below 6, found '6'"),
    ("sizes.0.grids", {"2": "weight/b1"}, "expected a key below 2, found '2'"),
    ("groups.0.a", 5, r"groups\[0\].a: expected a number"),
    ("sizes", [0] * 257, "at most 256 sizes"),
]
"""A manifest's field, by its path with dots; a value that it may not have; a pattern of the message."""

NO_BUNDLES = [
    (b"", "no safetensors header"),
    (b"hello", "no safetensors header"),
    (b"PK\x03\x04" + b"x" * 100, "no safetensors header"),
    (struct.pack("<Q", 20) + b"{}", "not an INN-Lite bundle"),
    (struct.pack("<Q", 2) + b"{}", "no 'innlite' key"),
    (struct.pack("<Q", 1 << 60) + b"{}", "no safetensors header"),
]
"""A file's content; a pattern of the message."""

NO_JSON = [
    *("", "{", "[1]", "null", "NaN", '{"format_version": NaN}', "[" * 100_000, "[" * 900 + "]" * 900),
    *('{"name": "a", "name": "b"}', '{"check_seed": 1e999}', f'{{"check_seed": {"1" * 5000}}}'),
]
"""Texts in a manifest's place."""

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 40) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def set_field(document: dict[str, Any], path: str, value: Any) -> None:
    """Replace the value at a path with dots."""
    *parents, last = path.split(".")
    target: Any = document
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    target[int(last) if isinstance(target, list) else last] = value


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document, as its keys and indices."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for k, v in items for p in [(*prefix, k), *paths(v, (*prefix, k))]]


def check_message(error: inn.InnError) -> None:
    """One short line that a terminal can show."""
    assert str(error).isprintable()
    assert len(str(error)) < 500
