"""The engines: MindSpore Lite in this process, in a worker process, or through the vendor's package.

Importing this loads no library; `load_engine` does.
"""

from __future__ import annotations

import importlib
import sys
from typing import cast

from ..errors import UsageError
from .forks import built_in_parent
from .interface import Engine, EngineModel, NodeTime, TensorSpec

__all__ = [
    "Engine",
    "EngineModel",
    "NodeTime",
    "TensorSpec",
    "engine_version",
    "load_engine",
    "resolve_engine",
]

_ENGINES = {"native": "NativeEngine", "worker": "WorkerEngine", "vendor": "VendorEngine"}
"""Names of the engines, which are their modules', and their classes."""


def load_engine(name: str = "auto") -> Engine:
    """The engine of this name.

    Parameters
    ----------
    name : ``native`` (in this process), ``worker`` (in a process of its own), ``vendor`` (through the
        installed package ``mindspore_lite``) or ``auto``: ``worker`` where MindSpore is loaded, which
        cannot share a process with MindSpore Lite, and in processes forked from one that ran a model; else
        ``native``

    Raises
    ------
    UsageError : there is no engine of this name
    EngineError : the engine cannot be loaded
    """
    name = resolve_engine(name)
    module = importlib.import_module(f".{name}", __package__)
    return cast(Engine, getattr(module, _ENGINES[name])())


def resolve_engine(name: str) -> str:
    """The engine's own name, where ``name`` may be ``auto``. UsageError where there is none of this name."""
    if name == "auto":
        name = "worker" if "mindspore" in sys.modules or built_in_parent() else "native"
    if name not in _ENGINES:
        raise UsageError(f"engine: expected one of auto, {', '.join(_ENGINES)}, found {name!r}")
    return name


def engine_version(name: str = "auto") -> str:
    """Version of MindSpore Lite that `load_engine` would use, without loading it where that can be."""
    from .library import find_local_library

    name = resolve_engine(name)
    library = find_local_library() if name != "vendor" else None
    return library.version if library is not None else load_engine(name).version
