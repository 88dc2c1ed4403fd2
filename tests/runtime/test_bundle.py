"""Opening bundles: good ones, damaged ones, hostile ones."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


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
        ("format_version", 2, "format version 2; this runtime reads version 1"),
        ("format_version", "1", "format_version: expected an integer"),
        ("name", 3, "manifest.name: expected a text, found 3"),
        ("groups.0.size", 0, r"groups\[0\].size: expected an integer from 1"),
        ("groups.0.size", 9, "full widths at size 1"),
        ("groups.0.size", 1 << 40, "groups"),
        ("groups.0.size", True, "groups"),
        ("groups.0.size", 8.0, "groups"),
        ("groups.0.kernel", "spline", "one of selection, linear, cubic"),
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
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, path: str, value: Any, message: str) -> None:
    document = tiny.manifest()
    _set(document, path, value)
    with pytest.raises(inn.BundleError, match=message) as caught:
        inn.open(tiny.write(tmp_path / "a.inn", document))
    assert str(tmp_path / "a.inn") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", sorted(tiny.manifest()))
def test_missing_fields_are_named(tmp_path: Path, key: str) -> None:
    document = tiny.manifest()
    del document[key]
    with pytest.raises(inn.BundleError, match=f"{key} is missing"):
        inn.open(tiny.write(tmp_path / "a.inn", document))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "NaN", '{"format_version": NaN}', "[" * 100_000])
def test_manifest_that_is_no_json_object(tmp_path: Path, text: str) -> None:
    from safetensors.numpy import save

    (tmp_path / "a.inn").write_bytes(save(tiny.tensors(), {"innlite": text}))
    with pytest.raises(inn.BundleError):
        inn.open(tmp_path / "a.inn")


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
    assert "\n" not in str(error)


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
