"""What must hold between a bundle's manifest and its tensors."""

from __future__ import annotations

from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny


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
