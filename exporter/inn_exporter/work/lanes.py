"""Sizes calibrated side by side: small convolutions leave most of a processor's cores idle.

Each size is calibrated by itself, in a process that has some of the cores for its own; what it found is in
the work folder before the next begins. Small networks are not worth the processes' start.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy as np
from inn_runtime.errors import InnError

from ..backend import cores
from ..calibration.calibrated_size import CalibratedSize
from ..calibration.calibration import Calibration
from ..ordering.continuous import ContinuousNetwork
from .folder import WorkFolder
from .sizes import size_from_bytes, size_to_bytes

WORTH = 1e10
"""Multiply-accumulates of a pass over all images and sizes from which processes are started."""


@dataclass(frozen=True)
class CalibrationJob:
    """All that calibrating a size takes.

    Attributes
    ----------
    sizes : size → with its widths
    images : unlabelled inputs, keyed by name
    seed, steps : see `Calibration`
    """

    network: ContinuousNetwork
    sizes: Mapping[float, CalibratedSize]
    images: Mapping[str, np.ndarray]
    seed: int
    steps: int

    def calibrated(self, size: float, progress: Callable[[float], None]) -> CalibratedSize:
        """One size."""
        calibration = Calibration(self.network, seed=self.seed, steps=self.steps)
        (found,) = calibration.run([self.sizes[size]], self.images, progress)
        return found


def processes_for(passed: float, sizes: int) -> int:
    """How many processes are worth it.

    Parameters
    ----------
    passed : multiply-accumulates of a pass over all images and sizes
    """
    return min(len(cores()), sizes) if passed >= WORTH else 1


def calibrated(
    job: CalibrationJob,
    costs: Mapping[float, float],
    folder: WorkFolder,
    processes: int,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[float, CalibratedSize]:
    """All sizes, those that the folder holds taken from there.

    Parameters
    ----------
    costs : size → its share of the work, whatever the sum; the largest begin
    processes : at a time; 1: this one

    Raises
    ------
    InnError : a process failed
    """
    found: dict[float, bytes] = {}
    for size in job.sizes:
        kept = folder.read(_name(size))
        if kept is not None:
            found[size] = kept
    done = {size: float(size in found) for size in job.sizes}

    def advance(size: float, share: float) -> None:
        done[size] = share
        progress(sum(costs[s] * done[s] for s in done) / sum(costs.values()))

    todo = sorted(set(job.sizes) - set(found), key=lambda size: -costs[size])
    if min(processes, len(todo)) <= 1:
        for size in todo:
            folder.write(_name(size), size_to_bytes(job.calibrated(size, partial(advance, size))))
    else:
        _run_lanes(job, todo, folder, min(processes, len(todo)), advance)
    for size in todo:
        content = folder.read(_name(size))
        if content is None:
            raise InnError(f"{folder.path}: what was found for size {size:g} is gone")
        found[size] = content
    return {size: size_from_bytes(found[size]).sampled(job.network) for size in job.sizes}


def _name(size: float) -> str:
    return f"size-{size:g}"


# ---------------------------------------------------------------------- the processes
def _run_lanes(
    job: CalibrationJob,
    todo: list[float],
    folder: WorkFolder,
    processes: int,
    advance: Callable[[float, float], None],
) -> None:
    """Let processes calibrate sizes, each the next that none has taken."""
    said: queue.Queue[tuple[_Lane, dict[str, Any] | None]] = queue.Queue()
    all_cores = cores()
    with tempfile.TemporaryDirectory() as scratch:
        _hand_over(job, Path(scratch))
        lanes = [
            _Lane(all_cores[i::processes] or all_cores, Path(scratch), folder, said) for i in range(processes)
        ]
        try:
            waiting, working = list(todo), len(lanes)
            while working:
                lane, message = said.get()
                if message is None and lane.dismissed:
                    continue
                if message is None:
                    raise InnError(f"calibrating failed: {lane.death()}")
                if "error" in message:
                    raise InnError(message["error"])
                if "share" in message:
                    advance(message["size"], message["share"])
                elif waiting:
                    lane.take(waiting.pop(0))
                else:
                    lane.take(None)
                    working -= 1
        finally:
            for lane in lanes:
                lane.stop()


class _Lane:
    """A process that calibrates sizes; what it says is put into ``said``, None when it ends by itself."""

    def __init__(self, own: list[int], scratch: Path, folder: WorkFolder, said: queue.Queue[Any]) -> None:
        threads = {name: str(len(own)) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        command = [sys.executable, "-m", __name__, str(scratch), str(folder.path), json.dumps(own)]
        path = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, "PYTHONPATH": path},
        )
        self.dismissed = False
        threading.Thread(target=self._listen, args=[said], daemon=True).start()

    def _listen(self, said: queue.Queue[Any]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said.put((self, json.loads(line)))
        said.put((self, None))

    def take(self, size: float | None) -> None:
        """Give it a size; None: there are no more."""
        assert self._process.stdin is not None
        self.dismissed = size is None
        self._process.stdin.write(f"{json.dumps(size)}\n")
        self._process.stdin.flush()

    def death(self) -> str:
        """Why it ended."""
        code = self._process.wait()
        hint = " (is memory short?)" if code == -9 else ""
        return f"a process ended with code {code}{hint}"

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()


def _hand_over(job: CalibrationJob, scratch: Path) -> None:
    """Leave a job where processes find it: images apart, so that all share the memory of one copy."""
    names = list(job.images)
    for index, name in enumerate(names):
        np.save(scratch / f"{index}.npy", job.images[name])
    with open(scratch / "job", "wb") as file:
        pickle.dump((names, job.network, dict(job.sizes), job.seed, job.steps), file)


def _received(scratch: Path) -> CalibrationJob:
    with open(scratch / "job", "rb") as file:  # written by the process that started this one
        names, network, sizes, seed, steps = pickle.load(file)
    images = {name: np.load(scratch / f"{index}.npy", mmap_mode="r") for index, name in enumerate(names)}
    return CalibrationJob(network, sizes, images, seed, steps)


def _serve(scratch: Path, folder: Path, own: list[int]) -> None:
    """What a process of its own does: sizes come by standard input, and words go to standard output."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, own)
    if sys.platform == "linux":
        _die_with_parent()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print is none of it

    def say(**message: Any) -> None:
        print(json.dumps(message), file=out, flush=True)

    job = _received(scratch)
    say(ready=True)
    for line in sys.stdin:
        size = json.loads(line)
        if size is None:
            break
        try:
            found = job.calibrated(size, partial(_say_share, say, size))
        except InnError as error:
            say(error=str(error))
            break
        WorkFolder.opened(folder).write(_name(size), size_to_bytes(found))
        say(size=size, share=1.0)
        say(ready=True)


def _say_share(say: Callable[..., None], size: float, share: float) -> None:
    say(size=size, share=share)


def _die_with_parent() -> None:
    """Have the system end this process where the one that started it is killed."""
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
