"""The aarch64 program, emulated by qemu with the real aarch64 MindSpore Lite."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from comparing import check_models, check_same, plain
from inn_runtime.format.axis import KERNELS
from program import ROOT, Run, build


@pytest.fixture(scope="session")
def emulated() -> Run:
    """A function that runs `inn-device` as an aarch64 machine would."""
    if os.uname().machine == "aarch64":
        pytest.skip("this machine is what would be emulated")
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static is missing")
    build("aarch64", "aarch64-linux-gnu-g++")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "device_demo/arm/emulate.sh"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    return run


def test_models(emulated: Run, tmp_path: Path) -> None:
    check_models(emulated, tiny.write(tmp_path / "a.inn"), "small", "full")
    for kernel in KERNELS:
        check_models(emulated, tiny.write(tmp_path / "a.inn", *plain(kernel, "trapezoid")), "0.37")


def test_outputs(emulated: Run, tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    images = np.random.default_rng(2).standard_normal((3, 2, 5, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", images)
    result = emulated("run", path, "--size", "small", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
    assert result.returncode == 0, result.stderr
    with inn.open(path).resample("small").session() as session:
        expected = session.run(images)
    found = np.load(tmp_path / "y.npz")["scores"]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_messages(emulated: Run, tmp_path: Path) -> None:
    for field, value in (("align", 0), ("name", [1e16, {"a": None}]), ("macs", [[1, *[0] * 9]])):
        assert check_same(emulated, tiny.write(tmp_path / "a.inn", {**tiny.manifest(), field: value}))
