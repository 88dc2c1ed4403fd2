"""The C++ loader refuses what the Python loader refuses, in the same words."""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
from copy import deepcopy
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import pytest
import tiny
from comparing import PREFIX, check_same, device_message
from hostile import NO_BUNDLES, NO_JSON, WRONG_FIELDS, paths, set_field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inn_runtime.cli import main
from program import Run
from safetensors.numpy import save


def test_a_good_bundle(device: Run, tmp_path: Path) -> None:
    assert check_same(device, tiny.write(tmp_path / "a.inn")) == ""


@pytest.mark.parametrize("case", WRONG_FIELDS, ids=lambda case: case[0])
def test_wrong_fields(device: Run, tmp_path: Path, case: tuple[str, Any, str]) -> None:
    document = tiny.manifest()
    set_field(document, case[0], case[1])
    assert check_same(device, tiny.write(tmp_path / "a.inn", document))


@pytest.mark.parametrize("case", graphs.BROKEN, ids=lambda case: case[1])
def test_broken_nodes(device: Run, tmp_path: Path, case: tuple[graphs.Node, str]) -> None:
    assert case[1] in check_same(device, graphs.write(tmp_path / "a.inn", case[0], (1, 1)))


@pytest.mark.parametrize("case", graphs.BROKEN_FIELDS, ids=lambda case: case[1])
def test_what_the_table_of_primitives_does_not_have(
    device: Run, tmp_path: Path, case: tuple[dict[str, Any], str]
) -> None:
    assert case[1] in check_same(device, graphs.broken_field(tmp_path / "a.inn", case[0]))


@pytest.mark.parametrize(("node", "output"), graphs.GOOD)
def test_good_nodes(device: Run, tmp_path: Path, node: graphs.Node, output: tuple[int, ...]) -> None:
    assert check_same(device, graphs.write(tmp_path / "a.inn", node, output)) == ""
    assert "output 'y': expected" in check_same(device, graphs.write(tmp_path / "a.inn", node, (1, 99)))


@pytest.mark.parametrize("key", sorted(tiny.manifest()))
def test_missing_fields(device: Run, tmp_path: Path, key: str) -> None:
    document = tiny.manifest()
    del document[key]
    assert check_same(device, tiny.write(tmp_path / "a.inn", document))


def test_missing_inner_fields(device: Run, tmp_path: Path) -> None:
    refused = 0
    for path in paths(tiny.manifest()):
        document: Any = tiny.manifest()
        target = document
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]
        refused += check_same(device, tiny.write(tmp_path / "a.inn", document)) != ""
    assert refused > 100


@pytest.mark.parametrize("text", NO_JSON)
def test_manifest_that_is_no_json(device: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.inn").write_bytes(save(tiny.tensors(), {"innlite": text}))
    if text.startswith("[" * 900 + "]"):  # deeper than this loader goes; Python's may go there
        assert "not valid JSON (nested deeper than 100)" in device_message(device, tmp_path / "a.inn")
    else:
        assert check_same(device, tmp_path / "a.inn")


@pytest.mark.parametrize("case", NO_BUNDLES)
def test_no_bundles(device: Run, tmp_path: Path, case: tuple[bytes, str]) -> None:
    (tmp_path / "a.inn").write_bytes(case[0])
    assert check_same(device, tmp_path / "a.inn")


@pytest.mark.parametrize(
    "header",
    [
        b"\xef\xbb\xbf{}", b'{"__metadata__": {"innlite": "\xef\xbb\xbf{}"}}',
        b'{"__metadata__": {"innlite": "{}", "innlite": "{}"}}', b'{"__metadata__": {}, "__metadata__": {}}',
        b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, '
        b'"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}',
        b"[" + b"[]," * (1 << 20) + b"[]]", b"\xff", b"{}\0", b"  {}  ",
    ],
)  # fmt: skip
def test_headers_that_parsers_may_take_differently(device: Run, tmp_path: Path, header: bytes) -> None:
    (tmp_path / "a.inn").write_bytes(struct.pack("<Q", len(header)) + header)
    assert check_same(device, tmp_path / "a.inn")


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "\n\x1b[31m" * 100}, {"dtype": "BF16"}, {"dtype": "I64", "shape": [0]}, {"dtype": 3},
        {"data_offsets": [6, 0]}, {"data_offsets": [0, 5]}, {"data_offsets": [2, 8]},
        {"data_offsets": [-2, 4]}, {"data_offsets": [0, 1 << 64]}, {"data_offsets": [0]},
        {"data_offsets": "06"}, {"shape": [1 << 40]},
        {"shape": [1 << 62, 4]}, {"shape": [-3]}, {"shape": [3.0]}, {"shape": None}, {},
    ],
)  # fmt: skip
def test_wrong_headers(device: Run, tmp_path: Path, change: dict[str, Any]) -> None:
    entry = {"dtype": "F16", "shape": [3], "data_offsets": [0, 6], **change}
    for metadata in ({"innlite": "{}"}, {"innlite": 3}, 3, None):
        header = json.dumps({"__metadata__": metadata, "a\n" * 1000: entry}).encode()
        (tmp_path / "a.inn").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 6)
        assert check_same(device, tmp_path / "a.inn")


@pytest.mark.parametrize(
    ("first", "second"),
    [((0, 6), (2, 8)), ((0, 4), (5, 8)), ((0, 8), (0, 8)), ((0, 4), (4, 9)), ((0, 4), (4, 7))],
)
def test_tensors_that_overlap_or_leave_gaps(
    device: Run, tmp_path: Path, first: tuple[int, int], second: tuple[int, int]
) -> None:
    def entry(start: int, stop: int) -> dict[str, Any]:
        return {"dtype": "U8", "shape": [stop - start], "data_offsets": [start, stop]}

    tensors = {"a": entry(*first), "b": entry(*second)}
    header = json.dumps({"__metadata__": {"innlite": "{}"}, **tensors}).encode()
    (tmp_path / "a.inn").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
    assert "not an INN-Lite bundle, or a truncated one" in check_same(device, tmp_path / "a.inn")


def test_every_truncation(device: Run, tmp_path: Path) -> None:
    content = tiny.write(tmp_path / "a.inn").read_bytes()
    for length in range(0, len(content), 397):
        (tmp_path / "a.inn").write_bytes(content[:length])
        assert check_same(device, tmp_path / "a.inn")


@pytest.mark.parametrize(
    "kind", ["damaged", "infinite", "extra", "missing", "dtype", "scale", "shape", "twice"]
)
def test_wrong_tensors(device: Run, tmp_path: Path, kind: str) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    if kind == "damaged":
        document["digests"] = {key: tiny.digest(value) for key, value in values.items()}
        values["weight/w1"][0, 0, 0, 0] += 1
    elif kind == "infinite":
        values["weight/w1"][0, 0, 0, 0] = np.inf
    elif kind == "extra":
        values["extra\n'\u200b"] = np.zeros(3, np.float32)
    elif kind == "missing":
        del values["weight/b2"]
    elif kind == "dtype":
        values["weight/b2"] = np.zeros(3, np.int64)
    elif kind == "scale":
        values["weight/w1"] = np.ones((6, 3, 3, 8), np.int8)
        values["weight/w1.scale"] = np.ones((6, 1, 1, 2), np.float32)
    elif kind == "shape":
        values["weight/w1"] = np.ones(50, np.uint8)
        values["weight/w1.scale"] = np.ones((1, 1, 1, 1), np.float32)
    else:
        document["sizes"][0]["overrides"]["5"] = "table/0@0.5"
    assert check_same(device, tiny.write(tmp_path / "a.inn", document, values))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [1, 1000])
def test_expressions_that_overflow(device: Run, tmp_path: Path, sign: int, count: int) -> None:
    document = tiny.manifest()
    document["groups"][0]["size"] = 1 << 20
    for factors in (1, 2, 5, 8):
        term = [sign << 31, *[0] * factors]
        document["tensors"][10]["values"] = [[term] * count, 0, 0, 0]
        words = check_same(device, tiny.write(tmp_path / "a.inn", document))
        assert "expected an expression whose value fits 32 bits at every width" in words


def test_lengths_that_overflow(device: Run, tmp_path: Path) -> None:
    document = tiny.manifest()
    huge = {"group": 0, "outer": 1 << 20, "inner": (1 << 31) - 1}
    for dims in ([[huge]], [[huge] * 1000] * 8, [[{"inner": 1 << 30}]] * 8):
        document["weights"][0]["dims"] = dims
        assert "'weight/w0': expected shape (" in check_same(device, tiny.write(tmp_path / "a.inn", document))


def test_nodes_outside_their_axis(device: Run, tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["groups"][0] |= {"kernel": "cubic", "quadrature": "trapezoid"}
    document["sizes"][0] |= {"grids": {"0": "grid/0@0.5"}, "tables": {}}
    del values["table/0@0.5"]
    values["grid/0@0.5"] = np.array([[0, 1.25, 5, 7.5], [1, 2, 3, 1.5]], np.float32)
    assert "expected nodes in [0, 7]" in check_same(device, tiny.write(tmp_path / "a.inn", document, values))


_NUMBERS = st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)


# Characters that Unicode has not assigned are shown as they are; Python escapes those it does not know.

_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cn",)), max_size=120)


_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(_TEXTS, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_replaced_by_anything(device: Run, tmp_path: Path, data: st.DataObject) -> None:
    document: Any = deepcopy(tiny.manifest())
    path = data.draw(st.sampled_from(paths(document)))
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = data.draw(_JSON)
    check_same(device, tiny.write(tmp_path / "a.inn", document))


def test_short_texts_of_long_escapes_are_shortened_alike(device: Run, tmp_path: Path) -> None:
    for length in (13, 20, 25, 38, 48, 49, 50, 60):
        for text in ("\x1f" * length, "0" * (length // 2) + "\U000e0001" * (length - length // 2)):
            document: Any = {**deepcopy(tiny.manifest()), "format_version": text}
            assert check_same(device, tiny.write(tmp_path / "a.inn", document))


def test_a_zero_byte_does_not_end_the_header(device: Run, tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    longer = (end - 8 + 8).to_bytes(8, "little") + content[8:end] + b"       \0" + content[end:]
    path.write_bytes(longer)
    assert check_same(device, path)
    path.write_bytes(longer.replace(b"       \0", b" " * 8, 1))
    assert not check_same(device, path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 1 << 16), value=st.integers(0, 255))
def test_any_byte_changed(device: Run, tmp_path: Path, position: int, value: int) -> None:
    path = tiny.write(tmp_path / "a.inn")
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    check_same(device, path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "none.inn"], ["info", "."], ["info", "/dev/null"], ["info", "a\n\x1b[31m.inn"],
        *(["resample", "a.inn", "--size", s, "-o", "b"] for s in ("0.3", "2", "a\u200b", "", "nan", "0x1")),
        *(["resample", "a.inn", "--size", "small", "-o", o] for o in ("none/b.ms", "a.inn/b.ms", ".")),
        ["resample", "a.inn", "--size", "small"], ["info"], ["info", "a.inn", "--nothing"],
        ["run", "a.inn", "--input", "x.npy", "--top", "0"], ["run", "a.inn", "--input", "none.npy"],
        ["run", "a.inn", "--input", "x.npy", "--top", "x"], ["run", "a.inn", "--input"],
        ["bench", "a.inn", "--sizes", "small,huge"], ["bench", "a.inn", "--threads", "1.5"],
    ],
)  # fmt: skip
def test_wrong_arguments(
    device: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write(tmp_path / "a.inn")
    np.save("x.npy", np.zeros((1, 2, 5, 4), np.float32))
    with contextlib.suppress(SystemExit):  # argparse's way
        assert main(arguments) == 2
    expected = capsys.readouterr().err.partition(PREFIX)[2]
    found = device(*arguments)
    assert found.returncode == 2
    messages = (
        text.partition(" (see")[0].rstrip("\n") for text in (found.stderr.partition(PREFIX)[2], expected)
    )
    assert next(messages) == next(messages)
    assert sorted(os.listdir()) == ["a.inn", "x.npy"]


def test_numbers_are_shown_as_python_shows_them(device: Run, tmp_path: Path) -> None:
    small = (0.1, 1e-5, 0.0001, 5e-324, -2.5, 100.0, 2.0**-24)
    large = (1e22, 1e16, 123456789012345680.0, math.pi * 1e15, 1e15)
    for number in (*small, *large, 10**50, -(10**30), 1 << 63, -(1 << 63), 1 << 64):
        document = {**tiny.manifest(), "name": number}
        assert f"found {str(number)[:5]}" in check_same(device, tiny.write(tmp_path / "a.inn", document))
