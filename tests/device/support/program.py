"""Building the device program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
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
