"""The `.ms` bytes, read back with nothing but FlatBuffers' generic tables."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from flatbuffer import Reader
from inn_runtime.sampling.ms_writer import size_at_most

CONSTANT, VARIABLE = 0, 2


FLOAT32, INT32 = 43, 34


ANY = 200
"""A primitive without a rule, which may have any attributes."""


def packed(path: Path, size: str, document: dict[str, Any] | None = None) -> bytes:
    bundle = inn.open(tiny.write(path / "a.inn", document), allow_primitives=[ANY])
    return bytes(bundle.resample(size).to_bytes())


@pytest.fixture(params=["small", "full"])
def size(request: pytest.FixtureRequest) -> str:
    return request.param


def test_header_and_graph(tmp_path: Path, size: str) -> None:
    content = packed(tmp_path, size)
    assert content[4:8] == b"MSL2"
    meta = Reader.root(content)
    assert (meta.text(0), meta.text(1), meta.scalar(2, "i")) == ("tiny", "innlite", 2)
    assert (meta.vector(3, "I"), meta.vector(4, "I")) == ([0], [13])
    (subgraph,) = meta.children(8)
    assert subgraph.text(0) == "main"
    assert [subgraph.vector(slot, "I") for slot in (1, 2)] == [[0], [13]]
    assert subgraph.vector(3, "I") == list(range(len(tiny.manifest()["nodes"])))
    assert subgraph.vector(4, "I") == list(range(len(tiny.manifest()["tensors"])))


def test_tensors(tmp_path: Path, size: str) -> None:
    content = packed(tmp_path, size)
    model = inn.open(tmp_path / "a.inn").resample(size)
    for found, described in zip(Reader.root(content).children(7), tiny.manifest()["tensors"]):
        assert found.text(9) == described["name"]
        assert found.scalar(3, "i") == 1  # NHWC
        if "weight" in described:
            expected = model.weight(described["weight"])
        elif "values" in described:
            expected = np.array(described["values"], np.int32)
        else:
            assert found.scalar(0, "i") == VARIABLE
            assert found.scalar(1, "i") == FLOAT32
            assert found.vector(2, "i") == described.get("dims", [])
            assert not found.has(6)
            continue
        assert found.scalar(0, "i") == CONSTANT
        assert found.scalar(1, "i") == (FLOAT32 if "weight" in described else INT32)
        assert tuple(found.vector(2, "i")) == expected.shape
        assert bytes(found.vector(6, "B")) == expected.tobytes()


def test_tensor_data_is_aligned_to_16_bytes(tmp_path: Path, size: str) -> None:
    tensors = Reader.root(packed(tmp_path, size)).children(7)
    starts = [tensor.start(6) for tensor in tensors if tensor.has(6)]
    assert len(starts) == 7
    assert all(start % 16 == 0 for start in starts)


def test_nodes(tmp_path: Path, size: str) -> None:
    nodes = Reader.root(packed(tmp_path, size)).children(6)
    for found, described in zip(nodes, tiny.manifest()["nodes"]):
        assert found.text(0) == described["name"]
        assert found.vector(3, "I") == described["inputs"]
        assert found.vector(4, "I") == described["outputs"]
        assert found.child(2).scalar(0, "B") == described["primitive"]
        attributes = found.child(2).child(1)
        present = {slot for slot in range(20) if attributes.has(slot)}
        assert present == {slot for slot, _, _ in described["attributes"]}
    convolution = nodes[1].child(2).child(1)
    channels = {"small": (4, 3), "full": tiny.CHANNELS}[size]
    assert (convolution.scalar(8, "q"), convolution.scalar(9, "q")) == channels
    assert convolution.vector(5, "q") == [1, 1, 1, 1]
    assert (convolution.scalar(0, "i"), convolution.scalar(4, "b"), convolution.scalar(10, "b")) == (1, 0, 1)


def test_all_attribute_types(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["nodes"][4]["primitive"] = ANY
    document["nodes"][4]["attributes"] = [
        [0, "bool", True], [1, "bool", False], [2, "byte", -128], [3, "byte", [[1, 0]]],
        [4, "int", [[-3, 0, 1], [5]]], [5, "int", 0], [6, "long", [[1 << 31, 0, 1]]], [7, "float", -0.5],
        [9, "longs", [[[1, 1]], -1, 7]], [10, "longs", []], [11, "floats", [0.5, -2, 3]], [12, "floats", []],
        [13, "string", "größer"], [14, "string", ""], [255, "float", 0],
    ]  # fmt: skip
    attributes = Reader.root(packed(tmp_path, "small", document)).children(6)[4].child(2).child(1)
    assert (attributes.scalar(0, "?"), attributes.scalar(1, "?")) == (True, False)
    assert (attributes.scalar(2, "b"), attributes.scalar(3, "b")) == (-128, 4)
    assert (attributes.scalar(4, "i"), attributes.scalar(5, "i")) == (-3 * 4 * 3 + 5, 0)
    assert attributes.scalar(6, "q") == 12 << 31
    assert attributes.scalar(7, "f") == -0.5
    assert not attributes.has(8)
    assert (attributes.vector(9, "q"), attributes.vector(10, "q")) == ([3, -1, 7], [])
    assert (attributes.vector(11, "f"), attributes.vector(12, "f")) == ([0.5, -2.0, 3.0], [])
    assert (attributes.text(13), attributes.text(14)) == ("größer", "")
    assert attributes.scalar(255, "f") == 0.0


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ([0, "byte", 128], "fits 8 bits"),
        ([0, "byte", [[16, 0]]], "fits 8 bits"),  # 128 at full width
        ([0, "int", [[1 << 30, 0]]], "fits 32 bits"),
        ([0, "int", [[-(1 << 30), 0]]], "fits 32 bits"),
        ([0, "long", [[1 << 31, *[0] * 8, *[1] * 3]]], "at most 8 factors"),
        ([0, "long", [[1 << 31, *[0] * 8], [1 << 31, *[0] * 8]] * 300], "fits 64 bits"),
        ([0, "float", 1e39], "a finite number"),
        ([0, "float", 10**400], "a finite number"),
        ([0, "floats", [1.0, -1e300]], "a finite number"),
        ([0, "string", "\ud800"], "Unicode text"),
    ],
)
def test_values_that_the_schema_cannot_hold_are_refused(tmp_path: Path, attribute: Any, message: str) -> None:
    document = tiny.manifest()
    document["nodes"][4]["attributes"] = [attribute]
    with pytest.raises(inn.BundleError, match=message):
        inn.open(tiny.write(tmp_path / "a.inn", document))


def test_integer_constants_follow_the_widths(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["nodes"][3]["primitive"] = ANY
    document["tensors"][10] = {
        "name": "order",
        "values": [[[2, 0], [-1]], [[1, 0, 1]], 3, -4],
        "shape": [2, 2],
    }
    for size, values in (("small", [7, 12, 3, -4]), ("full", [15, 48, 3, -4])):
        tensor = Reader.root(packed(tmp_path, size, document)).children(7)[10]
        assert tensor.vector(2, "i") == [2, 2]
        assert struct.unpack("<4i", bytes(tensor.vector(6, "B"))) == tuple(values)


def test_empty_constant(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["nodes"][3]["primitive"] = ANY
    document["tensors"][10] = {"name": "order", "values": [], "shape": [0]}
    tensor = Reader.root(packed(tmp_path, "full", document)).children(7)[10]
    assert tensor.vector(2, "i") == [0]
    assert tensor.vector(6, "B") == []


def test_same_bytes_every_time(tmp_path: Path, size: str) -> None:
    first = packed(tmp_path, size)
    assert packed(tmp_path, size) == first
    script = (
        "import sys, inn_runtime as inn\n"
        "sys.stdout.buffer.write(inn.open(sys.argv[1]).resample(sys.argv[2]).to_bytes())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.inn"), size]
    assert subprocess.run(command, check=True, capture_output=True).stdout == first


def test_golden_bytes_at_full_size(tmp_path: Path) -> None:
    # Nothing is computed at full size but float16 to float32: the bytes are the same on every machine.
    content = packed(tmp_path, "full")
    assert (
        hashlib.sha256(content).hexdigest()
        == "804a337a7fb7360cbff10e9a5e7871d36cf999ce8e3efea33e05e2097be12246"
    )


def test_a_weight_may_be_packed_twice(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["tensors"].append({"name": "again", "weight": 2})
    tensors = Reader.root(packed(tmp_path, "full", document)).children(7)
    assert tensors[-1].vector(6, "B") == tensors[3].vector(6, "B")


def test_too_large_for_a_flatbuffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inn_runtime.sampling.ms_writer.MAX_MODEL_BYTES", 10_000)
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    with pytest.raises(inn.UsageError, match=r"at most 0 MB.*choose a smaller size"):
        bundle.resample("full").to_bytes()


def test_the_buffer_never_grows(tmp_path: Path) -> None:
    # The builder doubles and copies its buffer where that is too small for long names and many attributes.
    document = tiny.manifest()
    for index, entry in enumerate([*document["tensors"][1:13], *document["nodes"]]):
        entry["name"] += f"{index}" + "ö" * 5000
    document["nodes"][3]["primitive"] = document["nodes"][4]["primitive"] = ANY
    document["nodes"][4]["attributes"].append([1, "string", "ß" * 5000])
    document["nodes"][3]["attributes"].append([1, "longs", list(range(5000))])
    bundle = inn.open(tiny.write(tmp_path / "a.inn", document), allow_primitives=[ANY])
    content = bundle.resample("full").to_bytes()
    assert len(content) < len(content.obj) < 2 * len(content)
    assert len(content.obj) == size_at_most(bundle.manifest, tiny.CHANNELS)


MEMORY = """
import sys, tracemalloc
import numpy as np
import inn_runtime as inn

bundle = inn.open(sys.argv[1])
for _ in range(2):  # the first time, modules are loaded
    tracemalloc.start()
    content = bundle.resample(0.5).to_bytes()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = len(content)
    del content
print(size, peak)
"""


@pytest.mark.parametrize("bits", [None, 4, 6])
def test_peak_memory_while_resampling(tmp_path: Path, bits: int | None) -> None:
    """At most 1.3 times the model, also where integers of a few bits become float32."""
    width, layers = 1024, 48
    document = tiny.manifest()
    rng = np.random.default_rng(0)
    group = {"kernel": "selection", "quadrature": "none", "members": []}
    document["groups"] = [{**group, "name": f"g{i}", "size": width} for i in range(layers + 1)]
    document["quadratures"] = [{"name": f"q{i}", "group": i} for i in range(layers + 1)]
    document["weights"] = [
        {"name": f"w{i}", "dims": [[{"group": i + 1}], [{"group": i, "quadrature": i}]]}
        for i in range(layers)
    ]
    constants = [{"name": f"w{i}", "weight": i} for i in range(layers)]
    document["tensors"] = [{"name": "x", "dims": [1, 4]}, *constants, {"name": "y"}]
    document["inputs"] = [{"name": "x", "tensor": 0, "shape": [1, 4]}]
    document["outputs"] = [{"name": "y", "tensor": layers + 1, "shape": [1, 4]}]
    document["nodes"] = [
        {"name": "n", "primitive": 1, "attributes": [], "inputs": [0], "outputs": [layers + 1]}
    ]
    document["macs"] = 1
    grid = rng.standard_normal((width, width), dtype=np.float32).astype(np.float16)
    table = rng.standard_normal((width, width // 2), dtype=np.float32).astype(np.float16)
    if bits is not None:
        grid, table = (rng.integers(0, 256, a.size * bits // 8, np.uint8) for a in (grid, table))
    values = {f"weight/w{i}": grid for i in range(layers)} | {"table": table}
    if bits is not None:
        values |= {f"{key}.scale": np.ones((1, 1), np.float32) for key in values}
    document["sizes"] = [
        {
            **{"size": 0.5, "widths": [width // 2] * (layers + 1), "tables": {"0": "table"}},
            **{"overrides": {}, "measured": {}, "check": {}},
        },
        {**document["sizes"][1], "widths": [width] * (layers + 1)},
    ]
    tiny.write(tmp_path / "a.inn", document, values)
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "a.inn")]
    size, peak = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert size > 48e6
    assert peak <= 1.3 * size, f"{peak / 1e6:.0f} MB for a model of {size / 1e6:.0f} MB"


@pytest.mark.parametrize(
    ("kind", "value", "bits"),
    [
        ("byte", [[15, 0]], 8),
        ("int", [[(1 << 28) - 1, 0]], 32),
        ("longs", [[[1 << 31, *[0] * 8]] * 64], 64),
    ],
)
def test_numbers_that_exceed_their_type_beyond_full_size(
    tmp_path: Path, kind: str, value: Any, bits: int
) -> None:
    document = tiny.manifest()
    for group in document["groups"]:
        group["kernel"] = "cubic"
    document["sizes"][0] |= {"tables": {}, "overrides": {}}
    document["nodes"][4] |= {"primitive": ANY, "attributes": [[0, kind, value]]}
    values = {key: array for key, array in tiny.tensors().items() if key.startswith("weight/")}
    path = tiny.write(tmp_path / "a.inn", document, values)
    model = inn.open(path, allow_primitives=[ANY]).resample(1.5)
    with pytest.raises(inn.UsageError, match=f"exceeds {bits} bits at this size"):
        model.to_bytes()


def test_float16_weights_are_half_as_long(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    model, half = bundle.resample("full"), bundle.resample("full", weights="float16")
    assert len(model.to_bytes()) - len(half.to_bytes()) == pytest.approx(2 * model.parameters, abs=16 * 6)
    tensors = Reader.root(bytes(half.to_bytes())).children(7)
    types = {t.text(9): t.scalar(1, "i") for t in tensors if t.scalar(0, "i") == CONSTANT}
    assert types == {"w0": 42, "b0": 42, "w1": 42, "b1": 42, "w2": 42, "b2": 42, "order": 34}


def test_a_weight_beyond_float16_is_named(tmp_path: Path) -> None:
    values = {**tiny.tensors(), "weight/b0": np.full(8, 7e4, np.float32)}
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    with pytest.raises(inn.UsageError, match="weight 'b0' holds values beyond float16's 65,504"):
        bundle.resample("full", weights="float16").to_bytes()
    with pytest.raises(inn.UsageError, match="weights: expected one of float32, float16, found 'int8'"):
        bundle.resample("full", weights="int8")
