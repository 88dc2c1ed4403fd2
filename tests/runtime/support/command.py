"""Running `inn` in tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

PRESETS = "expected a number in (0, 1] or one of small (0.5), full (1)"
"""What is said of a size that tiny does not have."""

Run = Callable[..., "tuple[int, str, str]"]
"""A command in this process: exit code, standard output, standard error."""


def inn_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "inn_runtime.cli", *map(str, arguments)]
    return subprocess.run(command, check=False, text=True, **{"capture_output": True, **options})
