"""Which device this is."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def device_name() -> str:
    """The board's or processor's name, with cores and architecture, as far as Linux tells."""
    name = ""
    board, processor = Path("/proc/device-tree/model"), Path("/proc/cpuinfo")
    if board.is_file():
        name = board.read_text(errors="replace").strip("\0 \n")
    elif processor.is_file():
        fields = (line.partition(":") for line in processor.read_text(errors="replace").splitlines())
        name = next((v.strip() for k, _, v in fields if k.strip() in ("model name", "Hardware")), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = f"{platform.machine()}, {cores} core{'' if cores == 1 else 's'}"
    return f"{name} ({kind})" if name else kind
