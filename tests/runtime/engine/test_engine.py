"""The engines, on a tiny network made by the official converter; ONNX Runtime computed what is expected."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inn_runtime.engine import Engine, EngineModel, load_engine
from inn_runtime.errors import EngineError, UsageError

DATA = Path(__file__).parents[2] / "data"
CONTENT = (DATA / "tiny_conv.ms").read_bytes()
with np.load(DATA / "tiny_conv.npz") as _golden:
    X, Y = _golden["x"], _golden["y"]


@pytest.fixture(scope="module", params=["native", "worker"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return load_engine(request.param)


@pytest.fixture
def model(engine: Engine) -> Iterator[EngineModel]:
    model = engine.build(CONTENT)
    yield model
    model.close()


# Answers


def test_describes_the_model(engine: Engine, model: EngineModel) -> None:
    assert engine.version == "2.0.0"
    assert [(spec.name, spec.shape, spec.dtype) for spec in model.inputs] == [
        ("x", (1, 12, 10, 3), np.float32)
    ]
    model.run({"x": X[:1]})
    assert [(spec.name, spec.shape, spec.dtype) for spec in model.outputs] == [("y", (1, 5), np.float32)]


def test_agrees_with_onnx_runtime(model: EngineModel) -> None:
    for image, expected in zip(X, Y):
        np.testing.assert_allclose(model.run({"x": image[None]})["y"], expected[None], atol=2e-6)


def test_resizes_the_batch_up_and_down(model: EngineModel) -> None:
    for batch in (4, 2, 1, 3):
        model.resize({"x": (batch, 12, 10, 3)})
        assert model.inputs[0].shape == (batch, 12, 10, 3)
        np.testing.assert_allclose(model.run({"x": X[:batch]})["y"], Y[:batch], atol=2e-6)
        assert model.outputs[0].shape == (batch, 5)


@pytest.mark.parametrize("threads", [2, 4])
def test_answers_do_not_depend_on_threads(engine: Engine, threads: int) -> None:
    model = engine.build(CONTENT, threads)
    np.testing.assert_allclose(model.run({"x": X[:1]})["y"], Y[:1], atol=2e-6)
    model.close()


def test_takes_arrays_of_any_memory_order(model: EngineModel) -> None:
    channels_first = np.ascontiguousarray(X[:1].transpose(0, 3, 1, 2))
    np.testing.assert_allclose(model.run({"x": channels_first.transpose(0, 2, 3, 1)})["y"], Y[:1], atol=2e-6)


def test_caller_owns_the_outputs(model: EngineModel) -> None:
    first = model.run({"x": X[:1]})["y"]
    kept = first.copy()
    model.run({"x": X[1:2]})
    np.testing.assert_array_equal(first, kept)
    assert first.flags.writeable


def test_builds_from_any_buffer_and_copies_it(engine: Engine) -> None:
    content = bytearray(CONTENT)
    model = engine.build(memoryview(content))
    content[:] = bytes(len(content))
    np.testing.assert_allclose(model.run({"x": X[:1]})["y"], Y[:1], atol=2e-6)
    model.close()


def test_worker_equals_native() -> None:
    native, worker = load_engine("native").build(CONTENT), load_engine("worker").build(CONTENT)
    np.testing.assert_array_equal(native.run({"x": X[:1]})["y"], worker.run({"x": X[:1]})["y"])
    assert native.inputs == worker.inputs
    assert native.outputs == worker.outputs


def test_threads_share_a_model(model: EngineModel) -> None:
    errors: list[BaseException] = []

    def run(image: int) -> None:
        try:
            for _ in range(50):
                output = model.run({"x": X[image : image + 1]})["y"]
                np.testing.assert_allclose(output, Y[image : image + 1], atol=2e-6)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(image,)) for image in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# Mistakes of the caller


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "expected the names ['x'], found []"),
        ({"x": X[:1], "z": X}, "expected the names ['x'], found ['x', 'z']"),
        ({"x": X[:2]}, "'x': expected float32 [1, 12, 10, 3], found float32 [2, 12, 10, 3]"),
        ({"x": X[:1].astype(np.float64)}, "found float64 [1, 12, 10, 3]"),
        ({"x": X[:1].tolist()}, "expected an array, found list"),
    ],
)
def test_wrong_inputs_are_quoted(model: EngineModel, inputs: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        model.run(inputs)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "shapes",
    [{}, {"z": (1, 12, 10, 3)}, {"x": (1, 12, 10)}, {"x": (0, 12, 10, 3)}, {"x": (2**40, 1, 1, 3)}, {"x": 4}],
)
def test_wrong_shapes_are_refused(model: EngineModel, shapes: Any) -> None:
    with pytest.raises(UsageError):
        model.resize(shapes)


@pytest.mark.parametrize("shape", [(2, 12, 10, 4), (1_000_000_000, 12, 10, 3)])
def test_failed_resize_leaves_the_model_usable(model: EngineModel, shape: tuple[int, ...]) -> None:
    model.resize({"x": X.shape})
    with pytest.raises(EngineError):
        model.resize({"x": shape})
    assert model.inputs[0].shape == X.shape
    np.testing.assert_allclose(model.run({"x": X})["y"], Y, atol=2e-6)


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2", 10**9])
def test_thread_counts_are_checked(engine: Engine, threads: Any) -> None:
    with pytest.raises(UsageError, match="threads: expected an integer"):
        engine.build(CONTENT, threads)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"junk" * 1000, CONTENT[:100], CONTENT[: len(CONTENT) // 2], CONTENT[:-1]]
)
def test_bad_bytes_are_refused(engine: Engine, content: bytes) -> None:
    with pytest.raises(EngineError, match=r"build: .* \(status "):
        engine.build(content)


def test_text_is_no_model(engine: Engine) -> None:
    with pytest.raises(UsageError, match="found str"):
        engine.build("model.ms")  # type: ignore[arg-type]


def test_closed_model_says_so(engine: Engine) -> None:
    model = engine.build(CONTENT)
    model.close()
    model.close()
    with pytest.raises(UsageError, match="closed"):
        model.run({"x": X[:1]})
    with pytest.raises(UsageError, match="closed"):
        model.resize({"x": X.shape})


def test_unknown_engine_lists_the_names() -> None:
    with pytest.raises(UsageError, match="auto, native, worker, vendor, found 'gpu'"):
        load_engine("gpu")
