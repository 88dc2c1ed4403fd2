"""Forked processes: engines whose threads they do not have are refused at once, and never waited for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from inn_runtime.engine import load_engine, resolve_engine

ENGINES = ["native", "worker"]
IMAGE = np.zeros((1, 2, 5, 4), np.float32)


def forked(task: Callable[[], str]) -> str:
    """What a task says in a forked process, or the error's class and message; "waits" after 20 s."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = task()
        except inn.InnError as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    timer = threading.Timer(20, os.kill, (child, signal.SIGKILL))
    timer.start()
    with open(reading) as stream:
        said = stream.read()
    timer.cancel()
    return said if os.waitpid(child, 0)[1] == 0 else "waits"


@pytest.fixture
def bundle(tmp_path: Path) -> inn.Bundle:
    return inn.open(tiny.write(tmp_path / "a.inn"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_parents_session_is_refused(bundle: inn.Bundle, engine: str, threads: int) -> None:
    refused = "UsageError: a forked process cannot use its parent's session: make one of its own"
    with bundle.resample("full").session(threads, engine) as session:
        before = session.run(IMAGE)
        assert forked(lambda: str(session.run(IMAGE))) == refused
        assert forked(lambda: str(session.profile(IMAGE))) == refused
        assert forked(lambda: str(session.resize("small"))) == refused
        np.testing.assert_array_equal(session.run(IMAGE), before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_parents_model_is_refused(bundle: inn.Bundle, engine: str) -> None:
    model = load_engine(engine).build(bundle.resample("full").to_bytes())
    inputs = {"image": np.zeros((1, 5, 4, 2), np.float32)}
    for call in (model.run, model.profile, lambda _: model.resize({"image": (2, 5, 4, 2)})):
        assert "a forked process cannot use its parent's" in forked(lambda call=call: str(call(inputs)))
    assert forked(lambda: str(model.close())) == "None"
    assert len(model.run(inputs)) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_it_there_changes_nothing(bundle: inn.Bundle, engine: str) -> None:
    def drop() -> str:
        session.close()
        return "closed"

    session = bundle.resample("full").session(engine=engine)
    assert forked(drop) == "closed"
    assert len(session.run(IMAGE)) == 1
    session.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_in_use_while_it_is_forked(bundle: inn.Bundle, engine: str) -> None:
    """A lock that another thread holds at that moment stays locked in the child."""
    session = bundle.resample("full").session(engine=engine)
    with session._lock, session._resizing:
        assert "its parent's session" in forked(lambda: str(session.run(IMAGE)))
        assert "its parent's session" in forked(lambda: str(session.resize("small")))
        assert forked(lambda: str(session.close())) == "None"


def test_a_child_can_have_its_own(bundle: inn.Bundle) -> None:
    def own() -> str:
        with bundle.resample("full").session() as session:
            return f"{session.engine} {session.run(IMAGE).shape}"

    with bundle.resample("full").session(threads=2, engine="native") as session:
        session.run(IMAGE)
        assert resolve_engine("auto") == "native"
        assert forked(own) == "worker (1, 3)"
        refused = forked(lambda: str(bundle.resample("full").session(engine="native")))
        assert refused.startswith("EngineError: MindSpore Lite has run a model in the process")


def test_an_engine_of_the_parent_builds_no_more(bundle: inn.Bundle) -> None:
    content = bundle.resample("full").to_bytes()
    engine = load_engine("native")
    engine.build(content).close()
    assert "its parent's engine" in forked(lambda: str(engine.build(content)))
