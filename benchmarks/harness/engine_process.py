"""An engine of `engines` in a process of its own, from the side that asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class EngineProcess:
    """An engine's process that has answered once."""

    def __init__(self, engine: str, model: str, source: Path, threads: int) -> None:
        self.output = source.with_suffix(f".{engine.replace(' ', '-')}.npy")
        command = [sys.executable, "-m", "benchmarks.harness.engines", engine, model]
        command += [str(source), str(threads), str(self.output)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        start, memory = self._line().split()
        self.start, self.memory = float(start), int(memory)

    def run(self, count: int) -> float:
        """Median milliseconds of some runs."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args}: ended with {self._process.wait()}")
        return line
