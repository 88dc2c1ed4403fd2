"""Opening bundles: good ones, damaged ones, hostile ones."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inn_runtime.axes import Axis, Grid, prior, sampling_matrix
from safetensors.numpy import save


def test_opens_what_the_format_page_describes(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    assert bundle.manifest.full_widths == tiny.CHANNELS
    assert sorted(bundle.verify()) == sorted(tiny.tensors())


def test_key_order_of_the_manifest_does_not_matter(tmp_path: Path) -> None:
    document = dict(reversed(tiny.manifest().items()))
    assert inn.open(tiny.write(tmp_path / "a.inn", document)).manifest.name == "tiny"


def test_costs_follow_the_widths(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    full, small = bundle.resample("full"), bundle.resample("small")
    assert full.parameters == 8 * 18 + 8 + 6 * 72 + 6 + 18 + 3
    assert small.parameters == 4 * 18 + 4 + 3 * 36 + 3 + 9 + 3
    assert full.macs == 20 * (8 * 18 + 6 * 72) + 18
    assert small.macs == 20 * (4 * 18 + 3 * 36) + 9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors header"),
        (b"hello", "no safetensors header"),
        (b"PK\x03\x04" + b"x" * 100, "no safetensors header"),
        (struct.pack("<Q", 20) + b"{}", "not an INN-Lite bundle"),
        (struct.pack("<Q", 2) + b"{}", "no 'innlite' key"),
        (struct.pack("<Q", 1 << 60) + b"{}", "no safetensors header"),
    ],
)
def test_refuses_files_that_are_no_bundle(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.inn"
    path.write_bytes(content)
    with pytest.raises(inn.BundleError, match=message):
        inn.open(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(inn.UsageError, match="No such file"):
        inn.open(tmp_path / "none.inn")
    with pytest.raises(inn.UsageError, match="directory"):
        inn.open(tmp_path)


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    target: Any = document
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    target[int(last) if isinstance(target, list) else last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
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
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, path: str, value: Any, message: str) -> None:
    document = tiny.manifest()
    _set(document, path, value)
    with pytest.raises(inn.BundleError, match=message) as caught:
        inn.open(tiny.write(tmp_path / "a.inn", document))
    assert str(tmp_path / "a.inn") in str(caught.value)
    _check_message(caught.value)


@pytest.mark.parametrize("key", sorted(tiny.manifest()))
def test_missing_fields_are_named(tmp_path: Path, key: str) -> None:
    document = tiny.manifest()
    del document[key]
    with pytest.raises(inn.BundleError, match=f"{key} is missing"):
        inn.open(tiny.write(tmp_path / "a.inn", document))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[1]", "null", "NaN", '{"format_version": NaN}', "[" * 100_000, "[" * 900 + "]" * 900),
        *('{"name": "a", "name": "b"}', '{"check_seed": 1e999}', f'{{"check_seed": {"1" * 5000}}}'),
    ],
)
def test_manifest_that_is_no_json_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.inn").write_bytes(save(tiny.tensors(), {"innlite": text}))
    with pytest.raises(inn.BundleError) as caught:
        inn.open(tmp_path / "a.inn")
    _check_message(caught.value)


def test_header_that_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.inn"
    for field in (
        {"dtype": "\n\x1b[31m" * 100},
        {"dtype": "BF16"},
        {"data_offsets": [6, 0]},
        {"shape": [1 << 40]},
    ):
        entry = {"dtype": "F16", "shape": [3], "data_offsets": [0, 6], **field}
        header = json.dumps({"__metadata__": {"innlite": "{}"}, "a\n" * 1000: entry}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 6)
        with pytest.raises(inn.BundleError) as caught:
            inn.open(path)
        _check_message(caught.value)


def test_a_curve_may_lack_its_safe_size(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["curve"]["safe_from"] = None
    assert inn.open(tiny.write(tmp_path / "a.inn", document)).resample("small").is_safe


def test_inputs_of_one_name(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["tensors"].append(document["tensors"][0])
    document["inputs"].append({**document["inputs"][0], "tensor": 14})
    with pytest.raises(inn.BundleError, match="inputs of different names"):
        inn.open(tiny.write(tmp_path / "a.inn", document))


def test_the_source_is_no_weight(tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["sizes"][0]["overrides"]["3"] = "source.onnx"
    del values["override/b1@0.5"]
    for dtype in (np.uint8, np.float32):
        values["source.onnx"] = np.ones(3, dtype)
        with pytest.raises(inn.BundleError, match=r"source.onnx' is the source network, but is used as val"):
            inn.open(tiny.write(tmp_path / "a.inn", document, values))


@pytest.mark.parametrize(
    "source", [np.zeros(0, np.uint8), np.zeros((1, 2), np.uint8), np.uint8(1), np.zeros(4, np.int8)]
)
def test_the_source_is_some_bytes(tmp_path: Path, source: np.ndarray) -> None:
    values = {**tiny.tensors(), "source.onnx": np.asarray(source)}
    with pytest.raises(inn.BundleError, match=r"source.onnx': expected bytes, found u?int8 \("):
        inn.open(tiny.write(tmp_path / "a.inn", values=values))
    values["source.onnx"] = np.frombuffer(b"graph", np.uint8)
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    assert bundle.source_model() == b"graph"
    assert "source.onnx" in list(bundle.verify())


def test_only_a_scale_must_be_float(tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["weights"][0]["name"] = "w0.scale"
    del values["weight/w0"]
    values["weight/w0.scale"] = np.ones((8, 3, 3, 2), np.int8)
    values["weight/w0.scale.scale"] = np.full((1, 1, 1, 1), 2, np.float32)
    bundle = inn.open(tiny.write(tmp_path / "a.inn", document, values))
    np.testing.assert_array_equal(bundle.resample("full").weight(0), np.full((8, 3, 3, 2), 2))
    values["weight/w0.scale.scale"] = np.ones((1, 1, 1, 1), np.int8)
    with pytest.raises(inn.BundleError, match=r"w0.scale.scale.*expected float16 or float32, found int8"):
        inn.open(tiny.write(tmp_path / "a.inn", document, values))


@pytest.mark.parametrize(
    ("kernel", "rule"), [("selection", "trapezoid"), ("linear", "none"), ("cubic", "none")]
)
def test_memory_follows_the_file_not_the_widths(tmp_path: Path, kernel: str, rule: str) -> None:
    full = 1 << 18  # a dense sampling matrix would take 275 GB
    document, values = tiny.manifest(), tiny.tensors()
    document["groups"].append(
        {"name": "g2", "size": full, "kernel": kernel, "quadrature": rule, "members": []}
    )
    document["quadratures"].append({"name": "third", "group": 2})
    for size, width in zip(document["sizes"], (full // 2, full)):
        size["widths"].append(width)
    document["weights"] += [
        {"name": "b3", "dims": [[{"group": 2}]]},
        {"name": "w3", "dims": [[{"inner": 1}], [{"group": 2, "quadrature": 2}]]},
    ]
    values |= {"weight/b3": np.zeros(full, np.float16), "weight/w3": np.ones((1, full), np.float16)}
    model = inn.open(tiny.write(tmp_path / "a.inn", document, values)).resample("small")
    assert model.weight(6).shape == (full // 2,)
    assert model.weight(7).shape == (1, full // 2)


def test_time_follows_the_file_not_the_square_of_it(tmp_path: Path) -> None:
    count = 10_000
    document, values = tiny.manifest(), tiny.tensors()
    group = {"size": 1, "kernel": "selection", "quadrature": "none", "members": []}
    document["groups"] += [{"name": f"x{i}", **group} for i in range(count)]
    for size in document["sizes"]:
        size["widths"] += [1] * count
    document["weights"].append({"name": "w", "dims": [[{"group": 2 + i} for i in range(count)]]})
    values["weight/w"] = np.arange(count, dtype=np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", document, values)).resample("small")
    start = time.perf_counter()
    np.testing.assert_array_equal(model.weight(6), values["weight/w"])
    assert time.perf_counter() - start < 2


def test_a_file_changed_while_it_is_open(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    kept = bytes(inn.open(path).resample("small").to_bytes())
    for change in (
        lambda: path.write_bytes(b""),
        lambda: os.truncate(path, 100),
        lambda: os.utime(path, (0, 0)),
    ):
        bundle = inn.open(tiny.write(path))
        list(bundle.verify())
        change()
        with pytest.raises(inn.BundleError, match=r"a.inn: the file has changed since it was opened"):
            bundle.resample("small").to_bytes()
    bundle = inn.open(tiny.write(path))
    os.replace(tiny.write(tmp_path / "b.inn", {**tiny.manifest(), "name": "other"}), path)
    assert bytes(bundle.resample("small").to_bytes()) == kept
    path.unlink()
    assert bytes(bundle.resample("small").to_bytes()) == kept
    with pytest.raises(inn.UsageError, match="No such file"):
        bundle.file_digest  # noqa: B018 - a property


@pytest.mark.skipif(not Path("/proc/self/auxv").exists(), reason="Linux")
def test_a_file_that_cannot_be_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inn_runtime.bundle._first_bytes", lambda file, count: b"\0" * count)
    with pytest.raises(inn.UsageError, match="/proc/self/auxv: "):
        inn.open("/proc/self/auxv")


def test_sizes_that_are_no_sizes(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    for size in (10**400, "x" * 100_000, "\x1b[31m", None, [1]):
        with pytest.raises(inn.UsageError, match="expected a number in") as caught:
            bundle.resample(size)  # type: ignore[arg-type]
        _check_message(caught.value)


def test_damaged_values_are_found_at_first_use(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    bundle = inn.open(path)
    with pytest.raises(inn.BundleError, match="is damaged"):
        list(bundle.verify())


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    values = tiny.tensors()
    values["weight/w1"][0, 0, 0, 0] = np.inf
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    with pytest.raises(inn.BundleError, match=r"weight/w1.*not finite"):
        bundle.resample("small").to_bytes()


@pytest.mark.parametrize("block_bytes", [1, 200, 1 << 18])
def test_rows_that_a_size_does_not_need_are_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr("inn_runtime.bundle.BLOCK_BYTES", block_bytes)
    values = tiny.tensors()
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    np.testing.assert_array_equal(bundle.tensor("weight/w0"), values["weight/w0"].astype(np.float32))
    for bad, message in ((np.float16(np.nan), "not finite"), (np.float16(7), "damaged")):
        document = tiny.manifest()
        document["digests"] = {k: tiny.digest(v) for k, v in values.items()}
        changed = {**values, "weight/w0": values["weight/w0"].copy()}
        changed["weight/w0"][-1, -1, -1, -1] = bad
        if message == "not finite":
            document["digests"]["weight/w0"] = tiny.digest(changed["weight/w0"])
        bundle = inn.open(tiny.write(tmp_path / "b.inn", document, changed))
        for _ in range(2):  # also when it is used again
            with pytest.raises(inn.BundleError, match=message):
                bundle.resample("small").to_bytes()


def test_scalars_are_tensors_too(tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["weights"].append({"name": "scalar", "dims": []})
    document["tensors"].append({"name": "scalar", "weight": 6})
    values["weight/scalar"] = np.array(3.5, np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", document, values)).resample("small")
    assert model.weight(6).shape == ()
    assert model.weight(6) == 3.5
    assert len(model.to_bytes()) > 0


def test_extra_and_missing_tensors(tmp_path: Path) -> None:
    values = tiny.tensors()
    with pytest.raises(inn.BundleError, match="not in the manifest"):
        inn.open(tiny.write(tmp_path / "a.inn", values={**values, "extra": np.zeros(3, np.float32)}))
    document = tiny.manifest()
    del values["weight/b2"]
    with pytest.raises(inn.BundleError, match="missing from the file"):
        inn.open(tiny.write(tmp_path / "a.inn", document, values))
    with pytest.raises(inn.BundleError, match=r"I64|expected F16"):
        inn.open(tiny.write(tmp_path / "a.inn", values={**values, "weight/b2": np.zeros(3, np.int64)}))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = tiny.write(tmp_path / "a.inn").read_bytes()
    short = tmp_path / "short.inn"
    for length in range(0, len(content), 97):
        short.write_bytes(content[:length])
        with pytest.raises(inn.BundleError):
            inn.open(short)


def _check_message(error: inn.InnError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 500


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 40) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def _paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for k, v in items for p in [(*prefix, k), *_paths(v, (*prefix, k))]]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_replaced_by_anything_never_crashes(tmp_path: Path, data: st.DataObject) -> None:
    document = deepcopy(tiny.manifest())
    path = data.draw(st.sampled_from(_paths(document)))
    target: Any = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = data.draw(_JSON)
    try:
        bundle = inn.open(tiny.write(tmp_path / "a.inn", document))
        for preset in bundle.manifest.presets:
            bundle.resample(preset).to_bytes()
    except inn.InnError as error:
        _check_message(error)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 1 << 16), value=st.integers(0, 255))
def test_any_byte_changed_never_crashes(tmp_path: Path, position: int, value: int) -> None:
    path = tiny.write(tmp_path / "a.inn")
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    try:
        bundle = inn.open(path)
        list(bundle.verify())
        for preset in bundle.manifest.presets:
            bundle.resample(preset).to_bytes()
    except inn.InnError as error:
        _check_message(error)


def test_imports_are_light(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    script = (
        "import sys; before = set(sys.modules)\n"
        "import inn_runtime as inn\n"
        f"inn.open({str(path)!r}).resample('small').to_bytes()\n"
        f"from inn_runtime.cli.summary import describe; describe(inn.open({str(path)!r}))\n"
        "found = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "import json; print(json.dumps(sorted(found - set(sys.stdlib_module_names))))\n"
        "print('mindspore' in open('/proc/self/maps').read())\n"
    )
    lines = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    modules, engine = lines.splitlines()
    compiled = {"cython_runtime", *(m for m in json.loads(modules) if m.startswith("_cython"))}  # NumPy's
    assert set(json.loads(modules)) - compiled == {"inn_runtime", "numpy", "safetensors", "flatbuffers"}
    assert engine == "False"


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic"])
def test_a_size_may_have_nodes_of_its_own(tmp_path: Path, kernel: str) -> None:
    document, tensors = tiny.manifest(), tiny.tensors()
    document["groups"][0] |= {"kernel": kernel, "quadrature": "trapezoid", "a": -0.5}
    document["sizes"][0] |= {"grids": {"0": "grid/0@0.5"}, "tables": {}}
    del tensors["table/0@0.5"]
    tensors["grid/0@0.5"] = np.array([[0, 1.25, 5, 7], [1, 2, 3, 1.5]], np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", document, tensors)).resample(0.5)
    axis = Axis(8, kernel, "trapezoid", -0.5)
    grid = Grid(*tensors["grid/0@0.5"].astype(float))
    expected = np.tensordot(sampling_matrix(axis, grid), tiny.tensors()["weight/w0"], (1, 0))
    np.testing.assert_allclose(model.weight(0), expected, atol=1e-6)
    expected = tiny.tensors()["weight/w1"][:3] @ prior(axis, grid)
    np.testing.assert_allclose(model.weight(2), expected, atol=1e-5)
    assert model.bundle.manifest.is_calibrated

    tensors["grid/0@0.5"][0, -1] = 7.5
    with pytest.raises(inn.BundleError, match=r"'grid/0@0.5': expected nodes in \[0, 7\]"):
        inn.open(tiny.write(tmp_path / "b.inn", document, tensors)).resample(0.5).weight(0)
    tensors["grid/0@0.5"] = np.zeros((2, 3), np.float32)
    with pytest.raises(inn.BundleError, match=r"grid/0@0\.5"):
        inn.open(tiny.write(tmp_path / "c.inn", document, tensors))
