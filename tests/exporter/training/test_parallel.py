"""Several processes tune together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
from inn_exporter.data.samples import Samples
from tunable import model

TWO = """
import sys
import numpy as np
from inn_exporter import export
from inn_exporter import Tuning
with np.load(sys.argv[1]) as file:
    data = dict(file)
export(sys.argv[2], sys.argv[3], data, evaluate=data, tune=data, sizes=(0.5,), storage="float32",
       tuning=Tuning(seen=640, batch=64, rate=1e-3))
"""


@pytest.mark.slow
def test_two_processes_tune_as_one_does(labelled: Samples, tmp_path: Path) -> None:
    launcher = shutil.which("msrun") or shutil.which("msrun", path=str(Path(sys.executable).parent))
    if launcher is None:
        pytest.skip("msrun is not installed")
    (tmp_path / "net.onnx").write_bytes(model().SerializeToString())
    np.savez(tmp_path / "data.npz", x=labelled.inputs["x"], labels=labelled.labels)
    (tmp_path / "two.py").write_text(TWO)
    arguments = [str(tmp_path / name) for name in ("two.py", "data.npz", "net.onnx")]
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    port = 8600 + os.getpid() % 1000
    msrun = [launcher, "--worker_num=2", "--local_worker_num=2", f"--master_port={port}", "--join=True"]
    for command in (
        [sys.executable, *arguments, str(tmp_path / "one.inn")],
        [*msrun, f"--log_dir={tmp_path / 'log'}", *arguments, str(tmp_path / "both.inn")],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
    one, both = (inn.open(tmp_path / name) for name in ("one.inn", "both.inn"))
    for weight in one.manifest.weights:
        key = f"weight/{weight.name}"
        np.testing.assert_allclose(both.tensor(key), one.tensor(key), atol=1e-4)
