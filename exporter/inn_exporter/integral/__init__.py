"""Integral neural networks in MindSpore (CVPR 2023, and beyond): continuous layers, axes and quadratures.

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

__all__ = [
    "ContinuousAxis",
    "IntegralBatchNorm2d",
    "IntegralConv1d",
    "IntegralConv2d",
    "IntegralConv2dTranspose",
    "IntegralConvNorm2d",
    "IntegralDense",
    "Partition",
]

_MODULES = {"ContinuousAxis": "axis", "Partition": "axis"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'layers')}", __name__), name)
