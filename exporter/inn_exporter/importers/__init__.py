"""Readers of other formats; each returns the exporter's canonical `Graph`."""

from .onnx import import_onnx

__all__ = ["import_onnx"]
