"""INN-Lite's exporter: a trained network in, a bundle (`.inn`) out.

import inn_exporter

inn_exporter.export("model.onnx", "model.inn", "images.npz")

Names are loaded when they are used: the command line of the runtime asks for this package, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundling.onnx_writer import export_onnx
    from .errors import CalibrationDataError, UnsupportedGraphError
    from .importers.cell import from_cell
    from .options import Options
    from .pipeline import export
    from .training.options import Tuning

__all__ = [
    "CalibrationDataError",
    "Options",
    "Tuning",
    "UnsupportedGraphError",
    "export",
    "export_onnx",
    "from_cell",
]

_MODULES = {
    "CalibrationDataError": "errors",
    "Options": "options",
    "Tuning": "training.options",
    "UnsupportedGraphError": "errors",
    "export": "pipeline",
    "export_onnx": "bundling.onnx_writer",
    "from_cell": "importers.cell",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
