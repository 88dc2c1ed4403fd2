"""Integral neural networks in MindSpore: continuous layers, conversion, tuning (CVPR 2023, and beyond).

Names are loaded when they are used: MindSpore takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .axis import ContinuousAxis, Partition
    from .layers import (
        IntegralBatchNorm2d,
        IntegralConv1d,
        IntegralConv2d,
        IntegralConv2dTranspose,
        IntegralConvNorm2d,
        IntegralDense,
    )
    from .network import IntegralNetwork
    from .options import Tuning
    from .tuning import TuningError, tune

__all__ = [
    "ContinuousAxis",
    "IntegralBatchNorm2d",
    "IntegralConv1d",
    "IntegralConv2d",
    "IntegralConv2dTranspose",
    "IntegralConvNorm2d",
    "IntegralDense",
    "IntegralNetwork",
    "Partition",
    "Tuning",
    "TuningError",
    "tune",
]

_MODULES = {"ContinuousAxis": "axis", "Partition": "axis", "IntegralNetwork": "network"}
_MODULES |= {"Tuning": "options", "TuningError": "tuning", "tune": "tuning"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'layers')}", __name__), name)
