"""What the device program's tests share: the program, compiled once, and how its answers are compared."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADERS = ("nlohmann/json.hpp", "flatbuffers/flatbuffers.h", "eigen3/Eigen/Core")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def build(machine: str, compiler: str) -> Path:
    """The folder that ``device_demo/arm/build.sh`` fills for ``machine``; skips where it cannot be built."""
    missing = [name for name in ("cmake", compiler) if shutil.which(name) is None]
    missing += [name for name in HEADERS if not Path("/usr/include", name).exists()]
    if missing:
        pytest.skip(f"the device program cannot be built: {', '.join(missing)} missing")
    folder = ROOT / "out" / f"device-{machine}"
    subprocess.run(
        [str(ROOT / "device_demo/arm/build.sh"), machine, str(folder)],
        check=True,
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
    )
    return folder


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
