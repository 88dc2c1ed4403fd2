"""INN-Lite's exporter: a trained network in, a bundle (`.inn`) out.

import inn_exporter

inn_exporter.export("model.onnx", "model.inn", "images.npz")
"""

from .errors import CalibrationDataError, UnsupportedGraphError
from .export import export
from .importers import from_cell
from .onnx_writer import export_onnx

__all__ = ["CalibrationDataError", "UnsupportedGraphError", "export", "export_onnx", "from_cell"]
