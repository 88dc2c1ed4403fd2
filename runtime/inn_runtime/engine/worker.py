"""MindSpore Lite in a process of its own, for processes in which MindSpore is loaded."""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import errors
from ..errors import EngineError, UsageError
from .channel import Channel, Header
from .checks import check_inputs, check_shapes, check_threads, model_bytes
from .forks import Owner
from .interface import Array, Buffer, NodeTime, TensorSpec

_BOOTSTRAP = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from inn_runtime.engine.worker_process import main
main(int(sys.argv[2]), int(sys.argv[3]))
"""


class WorkerEngine:
    """MindSpore Lite in a worker process, which ends with the engine and its models, or with this process.

    One call runs at a time in a worker, whichever model it is for.

    Raises
    ------
    EngineError : the worker cannot be started, or has no MindSpore Lite
    """

    name = "worker"

    def __init__(self) -> None:
        self._worker = _Worker()

    @property
    def version(self) -> str:
        return self._worker.version

    @property
    def process(self) -> int:
        """The worker's process id."""
        return self._worker.process

    def build(self, model: Buffer, threads: int = 1) -> WorkerModel:
        threads = check_threads(threads)
        if self._worker.ended():
            self._worker = _Worker()
        return WorkerModel(self._worker, model, threads)


class WorkerModel:
    """A model of `WorkerEngine`."""

    def __init__(self, worker: _Worker, model: Buffer, threads: int) -> None:
        content = model_bytes(model)
        number = next(worker.numbers)
        header, _ = worker.call({"operation": "build", "model": number, "threads": threads}, [content])
        self._worker = worker
        self._number = number
        self._lock = threading.Lock()
        self._free = weakref.finalize(self, worker.to_free.append, number)
        self._update(header)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self._worker.owner.check("worker")
        with self._lock:
            self._check_open()
            arrays = check_inputs(self._inputs, inputs)
            header, outputs = self._worker.call({"operation": "run", "model": self._number}, arrays)
            self._update(header)
            return {spec.name: output for spec, output in zip(self._outputs, outputs)}

    def profile(self, inputs: Mapping[str, Array]) -> list[NodeTime]:
        self._worker.owner.check("worker")
        with self._lock:
            self._check_open()
            arrays = check_inputs(self._inputs, inputs)
            header, _ = self._worker.call({"operation": "profile", "model": self._number}, arrays)
            self._update(header)
            return [NodeTime(*entry) for entry in header["times"]]

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._worker.owner.check("worker")
        with self._lock:
            self._check_open()
            checked = check_shapes(self._inputs, shapes)
            header, _ = self._worker.call({"operation": "resize", "model": self._number, "shapes": checked})
            self._update(header)

    def close(self) -> None:
        if not self._worker.owner.is_here:  # the model is the parent's
            return
        with self._lock:
            if self._free.alive:
                self._free()
                with contextlib.suppress(EngineError):  # a dead worker has freed it
                    self._worker.call({"operation": "free"})

    def _check_open(self) -> None:
        if not self._free.alive:
            raise UsageError("the model is closed")

    def _update(self, header: Header) -> None:
        self._inputs = _specs(header["inputs"])
        self._outputs = _specs(header["outputs"])


class _Worker:
    """The worker process and the connection to it; stopped when nothing refers to it any more."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        # Models that are gone: the garbage collector may not wait for a lock, so the next call takes them.
        self.to_free: collections.deque[int] = collections.deque()
        self._lock = threading.Lock()
        self.owner = Owner()
        here, there = socket.socketpair()
        with there:
            self._process = _start(there.fileno())
        # Neither the channel nor the finalizer refers to this object, or it would never be finalized.
        self._channel = Channel(here, functools.partial(_check_alive, self._process))
        weakref.finalize(self, _stop, self.owner, self._process, self._channel)
        self.version: str = self._exchange(None, [])[0]["version"]

    def call(self, header: Header, arrays: Sequence[Array] = ()) -> tuple[Header, list[Array]]:
        """Send a request and wait for its answer; errors of the worker are raised here."""
        self.owner.check("worker")
        with self._lock:
            free = [self.to_free.popleft() for _ in range(len(self.to_free))]
            return self._exchange({**header, "free": free}, arrays)

    @property
    def process(self) -> int:
        return self._process.pid

    def ended(self) -> bool:
        return self._process.poll() is not None

    def _exchange(self, request: Header | None, arrays: Sequence[Array]) -> tuple[Header, list[Array]]:
        try:
            if request is not None:
                self._channel.send(request, arrays)
            reply, outputs = self._channel.receive()
        except (EOFError, OSError):
            raise EngineError(_death(self._process)) from None
        except BaseException:  # interrupted halfway: the next answer would be the wrong one
            self._process.kill()
            raise
        if "error" in reply:
            raise getattr(errors, reply["error"])(reply["message"])
        return reply, outputs


def _start(descriptor: int) -> subprocess.Popen[bytes]:
    """Start a worker that has this Python and its modules but nothing of MindSpore's environment."""
    folder = str(Path(__file__).parents[2])
    modules = [str(entry) for entry in (sys.path if folder in sys.path else [*sys.path, folder])]
    # Isolated mode: nothing in the environment or the current folder changes which modules are found.
    command = [sys.executable or "python3", "-I", "-c", _BOOTSTRAP, json.dumps(modules)]
    command += [str(descriptor), str(os.getpid())]
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=[descriptor], env=_clean_environment()
        )
    except OSError as error:
        raise EngineError(f"the MindSpore Lite worker cannot be started: {error}") from error


def _clean_environment() -> dict[str, str]:
    """This process's environment without the folders that importing MindSpore adds for the loader."""
    environment = dict(os.environ)
    for name, separator in (("LD_LIBRARY_PATH", os.pathsep), ("LD_PRELOAD", " ")):
        entries = environment.pop(name, "").split(separator)
        kept = [entry for entry in entries if entry and "mindspore" not in Path(entry).parts]
        if kept:
            environment[name] = separator.join(kept)
    return environment


def _check_alive(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise EOFError("the worker ended")


def _death(process: subprocess.Popen[bytes]) -> str:
    """How a worker ended that does not answer any more."""
    code = _reap(process)
    names = {-number.value: number.name for number in signal.Signals}
    reason = f"was killed by {names.get(code, -code)}" if code < 0 else f"ended with code {code}"
    if code == -signal.SIGKILL:
        reason += " (out of memory?); a resize starts another one"
    return f"the MindSpore Lite worker (process {process.pid}) {reason}"


def _stop(owner: Owner, process: subprocess.Popen[bytes], channel: Channel) -> None:
    channel.close()
    if owner.is_here:  # a forked copy of the owner may end; the worker is not its own
        _reap(process)


def _reap(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that ends by itself, or is made to."""
    try:
        return process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _specs(entries: list[Header]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(entry["name"], tuple(entry["shape"]), np.dtype(entry["dtype"])) for entry in entries
    )
