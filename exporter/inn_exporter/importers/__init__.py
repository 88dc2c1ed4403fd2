"""Readers of other formats; each leads to the exporter's canonical `Graph`."""

from .cell import from_cell
from .onnx import import_onnx

__all__ = ["from_cell", "import_onnx"]
