"""Where the Android app's parts are, and running the tools that build it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ANDROID = ROOT / "device_demo" / "android"
SOURCES = ANDROID / "app" / "src"
JUNIT = [Path("/usr/share/java/junit4.jar"), Path("/usr/share/java/hamcrest-core.jar")]
NEEDS_ANDROID = {"BundleAsset", "ChartView", "MainActivity", "Pictures"}
"""Classes that use Android's own; all others run on a plain JVM."""


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command that must not hang; its output is kept."""
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=540, check=False, **options
    )


def must(result: subprocess.CompletedProcess[str]) -> str:
    """The output of a command that must have ended with 0."""
    assert result.returncode == 0, f"{result.args}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def need(*commands: str) -> None:
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (device_demo/android/tools/setup.sh)")
