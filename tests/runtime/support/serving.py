"""`inn serve` in a process of its own."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SCRIPT = (
    "import sys; from inn_runtime.serve import app; from inn_runtime.cli import main; "
    "app.UPLOAD_SECONDS = float(sys.argv[1]); sys.exit(main(sys.argv[2:]))"
)


@contextlib.contextmanager
def serving(
    bundle: Path, *options: object, upload_seconds: float = 30
) -> Iterator[tuple[tuple[str, int], subprocess.Popen[str]]]:
    """The server's address on a free port, and its process, which is ended afterwards."""
    arguments = [upload_seconds, "serve", bundle, "--port", 0, *options]
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://([\d.]+):(\d+)/", process.stdout.readline())
        assert found is not None, process.communicate()[1]
        yield (found[1], int(found[2])), process
    finally:
        process.kill()
        process.communicate()
