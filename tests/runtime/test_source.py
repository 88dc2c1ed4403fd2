"""The source network in ONNX Runtime: any batch, any of the types that files have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inn_runtime.errors import UsageError
from inn_runtime.source import SourceModel, relative_difference

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402


def model(kind: int = TensorProto.FLOAT, batch: int | str = "batch", cast: bool = False) -> bytes:
    """y = 2 x, and y + 1."""
    two = helper.make_tensor("two", TensorProto.FLOAT if cast else kind, [], [2])
    one = helper.make_tensor("one", TensorProto.FLOAT if cast else kind, [], [1])
    nodes = [helper.make_node("Cast", ["x"], ["xf"], to=TensorProto.FLOAT)] if cast else []
    nodes += [
        helper.make_node("Mul", ["xf" if cast else "x", "two"], ["y"]),
        helper.make_node("Add", ["y", "one"], ["z"]),
    ]
    out = TensorProto.FLOAT if cast else kind
    graph = helper.make_graph(
        nodes,
        "double",
        [helper.make_tensor_value_info("x", kind, [batch, 3])],
        [helper.make_tensor_value_info(name, out, [batch, 3]) for name in ("y", "z")],
        [two, one],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


X = np.arange(21, dtype=np.float32).reshape(7, 3) / 4


@pytest.mark.parametrize("batch", ["batch", 1, 4, 10])
def test_any_number_of_images_runs_whatever_batch_the_file_fixes(batch: int | str) -> None:
    found = SourceModel(model(batch=batch)).run({"x": X})
    np.testing.assert_array_equal(found["y"], 2 * X)
    np.testing.assert_array_equal(found["z"], 2 * X + 1)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_other_floats_are_taken_and_given_as_float32(kind: int) -> None:
    found = SourceModel(model(kind)).run({"x": X}, ["z"])
    assert list(found) == ["z"]
    assert found["z"].dtype == np.float32
    np.testing.assert_array_equal(found["z"], 2 * X + 1)


def test_what_a_file_of_bytes_cannot_hold_is_rounded() -> None:
    source = SourceModel(model(TensorProto.UINT8, cast=True))
    given = np.array([[-3.0, 1.6, 300.0]], np.float32)
    nearest = source.representable({"x": given})["x"]
    np.testing.assert_array_equal(nearest, [[0, 2, 255]])
    np.testing.assert_array_equal(source.run({"x": given})["y"], 2 * nearest)


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"input 'x' is missing"):
        SourceModel(model()).run({})
    (tmp_path / "a.onnx").write_text("<html>")
    with pytest.raises(UsageError, match=r"a\.onnx: ONNX Runtime cannot load it: .+") as caught:
        SourceModel(tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="input 'x': expected floats, found tensor"):
        SourceModel(model(TensorProto.INT64))


def test_differences_are_relative_to_the_largest_value() -> None:
    expected = np.array([1.0, -4.0, np.inf], np.float32)
    assert relative_difference(expected, expected) == 0.0
    moved = expected + np.array([0.4, 0, 0], np.float32)
    assert relative_difference(moved, expected) == pytest.approx(0.1, rel=1e-5)
    assert relative_difference(np.array([1.0, np.nan, np.inf]), expected) == np.inf
    assert relative_difference(expected[:2], expected) == np.inf
