"""The engines' processes: the worker's life, and what loading an engine does to this process."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inn_runtime.engine
import numpy as np
import pytest
from inn_runtime.engine import Engine, load_engine
from inn_runtime.errors import EngineError, UsageError

DATA = Path(__file__).parents[2] / "data"
CONTENT = (DATA / "tiny_conv.ms").read_bytes()
with np.load(DATA / "tiny_conv.npz") as _golden:
    X, Y = _golden["x"], _golden["y"]

RUNTIME = Path(inn_runtime.engine.__file__).parents[2]


@pytest.fixture
def worker() -> Engine:
    """A worker that a test may kill."""
    return load_engine("worker")


def pid_of(engine: Any) -> int:
    return int(engine._worker._process.pid)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process that finds the runtime."""
    inherited = {name: value for name, value in os.environ.items() if name != "GLOG_v"}
    path = os.pathsep.join([str(RUNTIME), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "PYTHONPATH": path, "TINY": str(DATA / "tiny_conv.ms"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


# The worker process


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_worker_is_an_error_and_the_next_build_starts_another(
    worker: Engine, kill: signal.Signals
) -> None:
    model = worker.build(CONTENT)
    os.kill(pid_of(worker), kill)
    with pytest.raises(EngineError, match=f"was killed by {kill.name}"):
        model.run({"x": X[:1]})
    model.close()
    again = worker.build(CONTENT)
    np.testing.assert_allclose(again.run({"x": X[:1]})["y"], Y[:1], atol=2e-6)


def test_worker_killed_during_a_call_does_not_hang(worker: Engine) -> None:
    model = worker.build(CONTENT)
    os.kill(pid_of(worker), signal.SIGSTOP)
    timer = threading.Timer(0.3, os.kill, (pid_of(worker), signal.SIGKILL))
    timer.start()
    with pytest.raises(EngineError, match="was killed by SIGKILL"):
        model.run({"x": X[:1]})
    timer.join()


def test_worker_ends_with_the_last_reference(worker: Engine) -> None:
    engine, pid = load_engine("worker"), 0
    pid = pid_of(engine)
    model = engine.build(CONTENT)
    del engine
    model.run({"x": X[:1]})  # a model keeps its worker
    del model
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()  # nor is it left as a zombie


def test_worker_ends_when_its_parent_is_killed() -> None:
    code = "from inn_runtime.engine import load_engine\nimport os, signal\nengine = load_engine('worker')\n"
    code += "print(engine._worker._process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    result = python(code)
    assert result.returncode == -signal.SIGKILL
    assert wait_until(lambda: not is_running(int(result.stdout)))


def test_forked_child_may_not_use_the_worker(worker: Engine) -> None:
    model = worker.build(CONTENT)
    child = os.fork()
    if child == 0:
        try:
            model.run({"x": X[:1]})
        except UsageError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_allclose(model.run({"x": X[:1]})["y"], Y[:1], atol=2e-6)


# What loading does to the process


def test_import_loads_no_library() -> None:
    code = "import inn_runtime.engine\nprint('mindspore' in open('/proc/self/maps').read().lower())"
    assert python(code).stdout == "False\n"


@pytest.mark.parametrize("name", ["native", "worker"])
def test_a_refused_model_prints_nothing(name: str) -> None:
    code = f"""
from inn_runtime.engine import load_engine
from inn_runtime.errors import EngineError
try:
    load_engine({name!r}).build(b"junk")
except EngineError:
    print("refused")
"""
    result = python(code)
    assert (result.stdout, result.stderr) == ("refused\n", "")
    assert "[ERROR]" in python(code, GLOG_v="2").stderr


@pytest.mark.skipif(importlib.util.find_spec("mindspore") is None, reason="MindSpore is not installed")
def test_beside_mindspore_auto_takes_the_worker() -> None:
    code = """
import os
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
import mindspore
import numpy as np
from inn_runtime.engine import load_engine
from inn_runtime.errors import EngineError
engine = load_engine()
model = engine.build(open(os.environ["TINY"], "rb").read())
print(engine.name, model.run({"x": np.zeros((1, 12, 10, 3), np.float32)})["y"].shape)
print(mindspore.Tensor([1.0]).asnumpy())
for name in ("native", "vendor"):
    try:
        load_engine(name)
    except EngineError as error:
        print(error)
"""
    worker, tensor, native, vendor = python(code).stdout.splitlines()
    assert worker == "worker (1, 5)"
    assert tensor == "[1.]"
    assert "use the engine 'worker'" in native
    assert "cannot share a process" in vendor


# The vendor's package


@pytest.mark.skipif(importlib.util.find_spec("mindspore_lite") is not None, reason="it is installed")
def test_missing_vendor_package_is_an_error() -> None:
    with pytest.raises(EngineError, match="mindspore_lite cannot be imported"):
        load_engine("vendor")


@pytest.mark.skipif(
    "INNLITE_PYTHON37" not in os.environ, reason="INNLITE_PYTHON37: no CPython 3.7 with mindspore-lite 2.0.0"
)
def test_vendor_package_agrees_with_onnx_runtime() -> None:
    code = f"""
import sys, types, typing
typing.Protocol = object  # new in Python 3.8, which the rest of the runtime may rely on
sys.modules["inn_runtime"] = types.ModuleType("inn_runtime")
sys.modules["inn_runtime"].__path__ = [{str(RUNTIME / "inn_runtime")!r}]
import numpy as np
from inn_runtime.engine import load_engine
from inn_runtime.errors import EngineError
engine, golden = load_engine("vendor"), np.load({str(DATA / "tiny_conv.npz")!r})
model = engine.build(open({str(DATA / "tiny_conv.ms")!r}, "rb").read(), threads=2)
for batch in (1, 4, 2):
    model.resize({{"x": (batch, 12, 10, 3)}})
    output = model.run({{"x": golden["x"][:batch]}})["y"]
    np.testing.assert_allclose(output, golden["y"][:batch], atol=2e-6)
try:
    engine.build(b"junk")
except EngineError as error:
    print(engine.version, error)
"""
    result = subprocess.run([os.environ["INNLITE_PYTHON37"], "-c", code], capture_output=True, text=True)
    assert result.stderr == ""
    assert result.stdout.startswith("2.0.0 MindSpore Lite: build_from_file failed")
