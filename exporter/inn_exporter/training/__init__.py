"""What learns by gradients: tuning of the control grids and of partitions, distillation of sizes.

Names are loaded when they are used: MindSpore takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .network import IntegralNetwork
    from .options import Tuning
    from .tuning import TuningError, tune

__all__ = ["IntegralNetwork", "Tuning", "TuningError", "tune"]

_MODULES = {"IntegralNetwork": "network", "Tuning": "options", "TuningError": "tuning", "tune": "tuning"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
