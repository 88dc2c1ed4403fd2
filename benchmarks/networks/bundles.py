"""The bundles whose speed and memory are measured, and how they are made.

The ResNet-20 comes from ``scripts/demo.sh``; EfficientNet-Lite0 needs its ONNX (`efficientnet_lite0`) and a
folder of photos.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx

from benchmarks.networks.resnet18 import resnet18

BUNDLES = {
    "fashion-resnet20": Path("out/fashion-resnet20.inn"),
    "resnet18": Path("out/resnet18.inn"),
    "efficientnet-lite0": Path("out/efficientnet-lite0.inn"),
}
SOURCES = {
    "resnet18": Path("out/resnet18.onnx"),
    "efficientnet-lite0": Path("out/efficientnet-lite0.onnx"),
}
ANY_SIZE = Path("out/resnet18-any.inn")
"""Without calibrated data, so that every width can be had: for budgets."""

# MindSpore cannot share a process with the engine that is measured here.
EXPORT = """
import sys
import inn_exporter
import numpy as np
images = np.random.default_rng(0).standard_normal((16, 3, 224, 224), dtype=np.float32)
source, calibrated, any_size = sys.argv[1:]
sizes = (0.25, 0.5, 0.75, 1.0)
inn_exporter.export(source, any_size, images, quadrature="none", sizes=sizes, images=16, align=8)
inn_exporter.export(source, calibrated, images, sizes=sizes, images=16, align=8)
"""


def prepare(photos: Path, seed: int) -> None:
    """Export all but the ResNet-20, which `demo` leaves. ResNet-18 is calibrated with noise."""
    source = SOURCES["resnet18"]
    onnx.save(resnet18(np.random.default_rng(seed)), source)
    paths = [str(source), str(BUNDLES["resnet18"]), str(ANY_SIZE)]
    subprocess.run([sys.executable, "-c", EXPORT, *paths], check=True)
    preprocessing = {"size": [224, 224], "scale": 1, "mean": [127] * 3, "std": [128] * 3, "layout": "NCHW"}
    command = [sys.executable, "-m", "inn_runtime.cli", "export", str(SOURCES["efficientnet-lite0"])]
    command += ["--calibrate", str(photos), "--images", "24", "--sizes", "0.5,0.75,1.0"]
    command += ["--align", "8", "--preprocess", json.dumps(preprocessing)]
    subprocess.run([*command, "-o", str(BUNDLES["efficientnet-lite0"])], check=True)
