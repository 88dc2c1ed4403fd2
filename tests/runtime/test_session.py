"""Sessions: answers, batches, mistakes, resizing while others call."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from inn_runtime.format.parser import parse
from inn_runtime.noise import noise

VALUES = tiny.tensors()
IMAGES = noise(1, (4, 2, 5, 4))
SIZES = {"small": 0.5, "full": 1.0}


def expected(size: str, images: np.ndarray = IMAGES) -> np.ndarray:
    return tiny.reference(VALUES, SIZES[size], images)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> inn.Bundle:
    return inn.open(tiny.write(tmp_path_factory.mktemp("bundle") / "a.inn"))


@pytest.fixture
def session(bundle: inn.Bundle) -> Iterator[inn.Session]:
    with bundle.resample("full").session() as session:
        yield session


# Answers


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [1, 2])
def test_agrees_with_plain_numpy(bundle: inn.Bundle, size: str, threads: int) -> None:
    with bundle.resample(size).session(threads=threads) as session:
        scores = session.run(IMAGES)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected(size), atol=1e-5)


def test_any_batch_in_any_order(session: inn.Session) -> None:
    for batch in (1, 3, 1, 4, 2):
        np.testing.assert_allclose(session.run(IMAGES[:batch]), expected("full")[:batch], atol=1e-5)


def test_inputs_by_name(session: inn.Session) -> None:
    np.testing.assert_allclose(session.run({"image": IMAGES}), expected("full"), atol=1e-5)


@pytest.mark.parametrize("convert", [np.float64, np.float16, np.asfortranarray, np.ndarray.tolist])
def test_takes_whatever_is_an_array_of_floats(session: inn.Session, convert: Any) -> None:
    np.testing.assert_allclose(session.run(convert(IMAGES)), expected("full"), atol=2e-3)


def test_several_outputs_come_by_name(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["outputs"].append({"name": "flat", "tensor": 12, "shape": [1, 6]})
    bundle = inn.open(tiny.write(tmp_path / "a.inn", document))
    with bundle.resample("full").session() as session:
        outputs = session.run(IMAGES)
    assert list(outputs) == ["scores", "flat"]
    np.testing.assert_allclose(outputs["scores"], expected("full"), atol=1e-5)
    assert outputs["flat"].shape == (4, 6)


def test_nan_in_one_image_leaves_the_others_alone(session: inn.Session) -> None:
    images = IMAGES.copy()
    images[1, 0, 2, 2] = np.nan
    scores = session.run(images, allow_nonfinite=True)
    others = [0, 2, 3]
    np.testing.assert_allclose(scores[others], expected("full")[others], atol=1e-5)
    np.testing.assert_allclose(session.run(IMAGES), expected("full"), atol=1e-5)


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-1e300, "-inf")])
@pytest.mark.filterwarnings("error")
def test_inputs_that_are_not_finite_are_refused(session: inn.Session, value: float, shown: str) -> None:
    images = IMAGES.astype(np.float64)
    images[1, 0, 2, 2] = value
    message = rf"input 'image': expected finite float32 values, found {shown} \(allow_nonfinite lets it"
    with pytest.raises(inn.UsageError, match=message):
        session.run(images)
    assert session.run(images, allow_nonfinite=True).shape == (4, 3)


def test_reports_what_it_built(bundle: inn.Bundle, session: inn.Session) -> None:
    assert session.model.name == "full"
    assert session.model_bytes == len(bundle.resample("full").to_bytes())
    assert session.resample_seconds > 0
    assert session.build_seconds > 0
    assert session.engine in ("native", "worker")
    assert session.engine_version == "2.0.0"


def test_subnormal_numbers_survive_the_engine(bundle: inn.Bundle) -> None:
    script = (
        "import sys, numpy as np, inn_runtime as inn\n"
        "x = np.full(4, 1e-39, np.float32)\n"
        "session = inn.open(sys.argv[1]).resample('small').session(engine='native')\n"
        "session.run(np.zeros((1, 2, 5, 4), np.float32))\n"
        "assert (x * np.float32(0.5) > 0).all()\n"
    )
    subprocess.run([sys.executable, "-c", script, bundle.source], check=True)


# Mistakes of the caller


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (IMAGES[0], "input 'image': expected shape (batch, 2, 5, 4), found (2, 5, 4)"),
        (IMAGES.transpose(0, 2, 3, 1), "expected shape (batch, 2, 5, 4), found (4, 5, 4, 2)"),
        (IMAGES[:0], "expected shape (batch, 2, 5, 4), found (0, 2, 5, 4)"),
        (np.float32(1), "found ()"),
        (IMAGES.astype(np.int32), "input 'image': expected float32 values, found int32"),
        (IMAGES.astype(np.complex64), "found complex64"),
        ((IMAGES > 0), "found bool"),
        ("image", "found <U5"),
        (None, "found object"),
        ([[1.0], [1.0, 2.0]], "input 'image': expected an array: "),
        ({}, "input 'image' is missing"),
        ({"picture": IMAGES}, "inputs: expected the names image, found picture"),
        ({"image": IMAGES, "more": 1}, "inputs: expected the names image, found more"),
    ],
)
def test_wrong_inputs_are_quoted(session: inn.Session, inputs: Any, message: str) -> None:
    with pytest.raises(inn.UsageError) as caught:
        session.run(inputs)
    assert message in str(caught.value)
    np.testing.assert_allclose(session.run(IMAGES), expected("full"), atol=1e-5)


def two_inputs(path: Path) -> inn.Bundle:
    """The dense layer alone takes a second input of the same batch, which nothing reads."""
    document = tiny.manifest()
    document["tensors"].append({"name": "extra", "dims": [1, 7]})
    document["inputs"].append({"name": "extra", "tensor": 14, "shape": [1, 7]})
    return inn.open(tiny.write(path / "a.inn", document))


def test_two_inputs_need_names_and_one_batch(tmp_path: Path) -> None:
    from inn_runtime.session import _check_inputs

    ports = two_inputs(tmp_path).manifest.inputs
    extra = np.zeros((4, 7), np.float32)
    arrays, batch = _check_inputs(ports, {"extra": extra, "image": IMAGES})
    assert (batch, arrays["image"].shape, arrays["extra"].shape) == (4, (4, 5, 4, 2), (4, 7))
    with pytest.raises(
        inn.UsageError, match="expected a mapping with the names image, extra, found one array"
    ):
        _check_inputs(ports, IMAGES)
    with pytest.raises(inn.UsageError, match="'extra': expected batch 4, found 3"):
        _check_inputs(ports, {"extra": extra[:3], "image": IMAGES})
    with pytest.raises(inn.UsageError, match="'extra' is missing"):
        _check_inputs(ports, {"image": IMAGES})


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_thread_counts_are_checked(bundle: inn.Bundle, threads: Any) -> None:
    with pytest.raises(inn.UsageError, match="threads: expected an integer"):
        bundle.resample("full").session(threads=threads)


def test_unknown_engine(bundle: inn.Bundle) -> None:
    with pytest.raises(inn.UsageError, match="engine: expected one of auto"):
        bundle.resample("full").session(engine="gpu")


# Resizing


def test_resizes_back_and_forth_and_keeps_any_batch(session: inn.Session) -> None:
    for size in ("small", "full", "small", "small", "full"):
        session.resize(size)
        assert session.model.name == size
        for batch in (1, 3):
            np.testing.assert_allclose(session.run(IMAGES[:batch]), expected(size)[:batch], atol=1e-5)


@pytest.mark.parametrize("size", ["huge", 0.1, 2])
def test_a_wrong_size_leaves_the_old_one_serving(session: inn.Session, size: Any) -> None:
    with pytest.raises(inn.UsageError):
        session.resize(size)
    np.testing.assert_allclose(session.run(IMAGES), expected("full"), atol=1e-5)


def test_a_failed_build_leaves_the_old_one_serving(
    session: inn.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inn.Model, "to_bytes", lambda model: memoryview(b"no model"))
    bytes_before = session.model_bytes
    with pytest.raises(inn.EngineError):
        session.resize("small")
    assert (session.model.name, session.model_bytes) == ("full", bytes_before)
    np.testing.assert_allclose(session.run(IMAGES), expected("full"), atol=1e-5)


def test_damaged_data_of_another_size_leaves_the_old_one_serving(tmp_path: Path) -> None:
    values = {**VALUES, "override/b1@0.5": np.full(3, np.nan, np.float32)}
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    with bundle.resample("full").session() as session:
        with pytest.raises(inn.BundleError, match="not finite"):
            session.resize("small")
        np.testing.assert_allclose(session.run(IMAGES), expected("full"), atol=1e-5)


def test_live_resize_while_four_threads_call(session: inn.Session) -> None:
    references = {size: expected(size) for size in SIZES}
    stop = threading.Event()
    failures: list[str] = []
    seen: set[str] = set()

    def call(first: int) -> None:
        batches = [1, 2, 3]
        count = 0
        while not stop.is_set():
            batch = batches[(first + count) % 3]
            count += 1
            try:
                scores = session.run(IMAGES[:batch])
            except Exception as error:
                failures.append(repr(error))
                return
            size = next((s for s, r in references.items() if np.allclose(scores, r[:batch], atol=1e-5)), None)
            if size is None:
                failures.append(f"neither size's answer: {scores}")
                return
            seen.add(size)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for index in range(60):
        session.resize("small" if index % 2 == 0 else "full")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert seen == set(SIZES)


class Counting:
    """An engine that counts how many of its models are alive at once."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.name, self.version = engine.name, engine.version
        self.alive = self.most = 0
        self._lock = threading.Lock()

    def build(self, content: Any, threads: int) -> Any:
        built = self._engine.build(content, threads)
        with self._lock:
            self.alive += 1
            self.most = max(self.most, self.alive)
        close = built.close

        def counted() -> None:
            with self._lock:
                self.alive -= 1
            close()

        built.close = counted
        return built


def test_memory_never_holds_more_than_two_models(session: inn.Session) -> None:
    engine = Counting(session._engine)
    session._engine = engine  # type: ignore[assignment]
    session.resize("full")  # from here on the engine knows of every model
    assert (engine.alive, engine.most) == (1, 1)
    barrier = threading.Barrier(4)

    def resize(index: int) -> None:
        barrier.wait()
        for turn in range(5):
            session.resize(("small", "full")[(index + turn) % 2])

    threads = [threading.Thread(target=resize, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.most == 2
    assert engine.alive == 1


def test_a_call_in_flight_finishes_on_the_old_size(
    session: inn.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is held up inside a call; meanwhile the new model is built, and waits its turn."""
    inside, go_on, built = threading.Event(), threading.Event(), threading.Event()
    model = session._open().engine_model
    run, build = model.run, session._build
    results: list[Any] = []

    def slow(arrays: Any) -> Any:
        inside.set()
        assert go_on.wait(10)
        return run(arrays)

    def noted(wanted: inn.Model) -> Any:
        new = build(wanted)
        built.set()
        return new

    monkeypatch.setattr(model, "run", slow)
    monkeypatch.setattr(session, "_build", noted)
    caller = threading.Thread(target=lambda: results.append(session.run(IMAGES)))
    caller.start()
    assert inside.wait(10)
    resizer = threading.Thread(target=session.resize, args=("small",))
    resizer.start()
    assert built.wait(10)
    assert session.model.name == "full"
    go_on.set()
    caller.join()
    resizer.join()
    np.testing.assert_allclose(results[0], expected("full"), atol=1e-5)
    np.testing.assert_allclose(session.run(IMAGES), expected("small"), atol=1e-5)


def test_an_engine_that_was_killed_says_so_and_a_resize_brings_it_back(bundle: inn.Bundle) -> None:
    with bundle.resample("full").session(engine="worker") as session:
        os.kill(session._engine.process, signal.SIGKILL)  # type: ignore[attr-defined]
        for _ in range(2):
            with pytest.raises(inn.EngineError, match=r"was killed by SIGKILL \(out of memory\?\)"):
                session.run(IMAGES)
        session.resize("small")
        np.testing.assert_allclose(session.run(IMAGES), expected("small"), atol=1e-5)


# Types and copies


def test_float16_weights_change_little_and_survive_resizing(bundle: inn.Bundle) -> None:
    with bundle.resample("full", weights="float16").session() as session:
        for size in ("full", "small", "full", "small"):
            session.resize(size)
            assert session.model.weights == "float16"
            assert session.model_bytes == len(session.model.to_bytes())
            scores, exact = session.run(IMAGES), expected(size)
            assert 0 < np.abs(scores - exact).max() < 1e-3 * np.abs(exact).max()


def test_float32_inputs_reach_the_engine_uncopied(
    session: inn.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = session._open().engine_model
    run = model.run
    shared: list[bool] = []

    def watched(arrays: Any) -> Any:
        shared.append(np.shares_memory(arrays["image"], images))
        return run(arrays)

    monkeypatch.setattr(model, "run", watched)
    one = IMAGES[:1].copy()
    for images in (one, np.asfortranarray(one), one.astype(np.float64)):
        np.testing.assert_allclose(session.run(images), expected("full")[:1], atol=1e-5)
    assert shared == [True, True, False]


# Times of nodes


@pytest.mark.parametrize("engine", ["native", "worker"])
def test_every_node_is_timed(bundle: inn.Bundle, engine: str) -> None:
    with bundle.resample("full").session(engine=engine) as session:
        for batch in (1, 3):
            nodes = session.profile(IMAGES[:batch])
            assert [node.name for node in nodes] == ["c0", "c1", "mean", "t", "f", "d"]
            assert nodes[0].type == "Conv2DFusion"
            assert all(0 <= node.milliseconds < 1000 for node in nodes)
        np.testing.assert_allclose(session.run(IMAGES), expected("full"), atol=1e-5)
        with pytest.raises(inn.UsageError, match="expected shape"):
            session.profile(IMAGES[0])


# The end


def test_closed_session_says_so(bundle: inn.Bundle) -> None:
    session = bundle.resample("full").session()
    session.close()
    session.close()
    for call in (
        lambda: session.run(IMAGES),
        lambda: session.profile(IMAGES),
        lambda: session.resize("small"),
        lambda: session.resize(inn.Budget(latency_ms=8)),
        lambda: session.model,
    ):
        with pytest.raises(inn.UsageError, match="the session is closed"):
            call()


def test_closing_while_others_call_fails_no_call_halfway(bundle: inn.Bundle) -> None:
    session = bundle.resample("full").session()
    reference, problems = expected("full"), []

    def call() -> None:
        while True:
            try:
                scores = session.run(IMAGES)
            except inn.UsageError as error:
                if "closed" not in str(error):
                    problems.append(repr(error))
                return
            except Exception as error:
                problems.append(repr(error))
                return
            if not np.allclose(scores, reference, atol=1e-5):
                problems.append("wrong answer")

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    session.close()
    for thread in threads:
        thread.join()
    assert not problems


def test_closing_during_a_resize_leaves_nothing_open(
    bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bundle.resample("full").session()
    build = session._build

    def build_then_close(model: inn.Model) -> Any:
        built = build(model)
        session.close()
        return built

    monkeypatch.setattr(session, "_build", build_then_close)
    session.resize("small")
    with pytest.raises(inn.UsageError, match="closed"):
        session.run(IMAGES)


# What it asks of a network


class Scaling:
    """A `Runnable` without a bundle: outputs are the first three inputs, times its size."""

    weights = "float32"
    model_bytes = 4

    def __init__(self, size: float, asked: list[tuple[Any, int, str]]) -> None:
        self.manifest = parse({**tiny.manifest(), "digests": {}}, "none")
        self.size = size
        self.asked = asked

    def check_batch(self, batch: int) -> None:
        pass

    def to_engine_bytes(self) -> memoryview:
        return memoryview(struct.pack("<f", self.size))

    def resized(self, size: Any, *, threads: int = 1, engine: str = "auto") -> Scaling:
        self.asked.append((size, threads, engine))
        return Scaling(size, self.asked)

    def session(self, threads: int = 1, engine: str = "auto") -> inn.Session[Scaling]:
        return inn.Session(self, threads, engine)


class FakeEngine:
    """Builds models of a `Scaling` network's bytes, and notes those that are closed."""

    name, version = "fake", "0"

    def __init__(self) -> None:
        self.closed: list[float] = []

    def build(self, model: memoryview, threads: int = 1) -> Any:
        (size,) = struct.unpack("<f", model)

        def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"scores": size * inputs["image"].transpose(0, 3, 1, 2).reshape(-1, 40)[:, :3]}

        return SimpleNamespace(run=run, resize=lambda shapes: None, close=lambda: self.closed.append(size))


def test_any_network_runs_and_resizes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("inn_runtime.session.load_engine", lambda name: engine)
    asked: list[tuple[Any, int, str]] = []
    first = IMAGES.reshape(len(IMAGES), -1)[:, :3]
    with Scaling(1.0, asked).session(threads=3) as session:
        np.testing.assert_allclose(session.run(IMAGES), first)
        session.resize(2.0)
        np.testing.assert_allclose(session.run(IMAGES), 2 * first)
        assert session.model.size == 2.0
        assert session.model_bytes == 4
        assert engine.closed == [1.0]
    assert engine.closed == [1.0, 2.0]
    assert asked == [(2.0, 3, "fake")]
