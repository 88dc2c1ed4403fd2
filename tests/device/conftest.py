"""What the device program's tests share: the program, compiled once."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from program import Run, build


@pytest.fixture(scope="session")
def device() -> Run:
    """A function that runs `inn-device`, or the command in the environment variable INN_DEVICE instead."""
    given = shlex.split(os.environ.get("INN_DEVICE", ""))
    program = given or [str(build(os.uname().machine, "g++") / "inn-device")]

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*program, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture(scope="session")
def answer(device: Run) -> Callable[..., object]:
    """A function that runs `inn-device` with ``--json`` and returns what it prints."""

    def run(*arguments: str | Path) -> object:
        result = device(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
