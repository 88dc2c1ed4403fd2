"""MindSpore, imported late and set up: it takes seconds to load and must be told about oneDNN first."""

from __future__ import annotations

import functools
import os
from types import ModuleType
from typing import Any

import numpy as np
from inn_runtime.errors import InnError


@functools.lru_cache(maxsize=1)
def mindspore() -> ModuleType:
    """The MindSpore package. A GPU or Ascend is used where this MindSpore was built for one."""
    # oneDNN's AVX-512 path falls back to its reference convolution in this wheel: 30 times slower.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    os.environ.setdefault("GLOG_v", "3")
    try:
        import mindspore as package
    except ImportError as error:
        raise InnError(f"exporting needs MindSpore: pip install 'innlite[export]' ({error})") from None
    # Its pipeline's threads wait for each other in busy loops: half of the processor's time on two cores.
    package.runtime.launch_blocking()
    return package


def cores() -> list[int]:
    """The processor's cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@functools.lru_cache(maxsize=1)
def on_accelerator() -> bool:
    """Whether MindSpore computes on something better than this machine's processor."""
    return bool(mindspore().get_context("device_target") != "CPU")


def ops() -> Any:
    """``mindspore.ops``."""
    return mindspore().ops


def tensor(array: np.ndarray) -> Any:
    """A MindSpore tensor of an array's values, which it may share: they must not change while it lives."""
    array = np.ascontiguousarray(array)
    package = mindspore()
    return package.from_numpy(array) if array.flags.writeable else package.Tensor(array)
