"""Where files lie that several tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
"""Networks as PyTorch wrote them."""
RESNET20 = ROOT / "benchmarks" / "models" / "fashion-resnet20.onnx"
"""Trained on Fashion-MNIST, (batch, 1, 28, 28)."""
