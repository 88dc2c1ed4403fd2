"""The engines: MindSpore Lite in this process, in a worker process, or through the vendor's package.

Importing this loads no library; `load_engine` does.
"""

from __future__ import annotations

import importlib
import sys
from typing import cast

from ..errors import UsageError
from .interface import Engine, EngineModel, TensorSpec

__all__ = ["Engine", "EngineModel", "TensorSpec", "load_engine"]

_ENGINES = {"native": "NativeEngine", "worker": "WorkerEngine", "vendor": "VendorEngine"}
"""Names of the engines, which are their modules', and their classes."""


def load_engine(name: str = "auto") -> Engine:
    """The engine of this name.

    Parameters
    ----------
    name : ``native`` (in this process), ``worker`` (in a process of its own), ``vendor`` (through the
        installed package ``mindspore_lite``) or ``auto``: ``worker`` where MindSpore is loaded, which
        cannot share a process with MindSpore Lite, else ``native``

    Raises
    ------
    UsageError : there is no engine of this name
    EngineError : the engine cannot be loaded
    """
    if name == "auto":
        name = "worker" if "mindspore" in sys.modules else "native"
    if name not in _ENGINES:
        raise UsageError(f"engine: expected one of auto, {', '.join(_ENGINES)}, found {name!r}")
    module = importlib.import_module(f".{name}", __package__)
    return cast(Engine, getattr(module, _ENGINES[name])())
