"""The C++ program runs models through MindSpore Lite as the Python runtime does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from inn_runtime.cli import main
from inn_runtime.engine.library import find_library
from inn_runtime.noise import noise
from program import Run

Answer = Callable[..., Any]

IMAGES = np.random.default_rng(2).standard_normal((3, 2, 5, 4)).astype(np.float32)


@pytest.mark.parametrize("size", ["small", "full"])
@pytest.mark.parametrize("one_image", [False, True])
def test_outputs(device: Run, tmp_path: Path, size: str, one_image: bool) -> None:
    document = {**tiny.manifest(), "one_image": one_image}
    path = tiny.write(tmp_path / "a.inn", document)
    np.save(tmp_path / "x.npy", IMAGES)
    result = device("run", path, "--size", size, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{tmp_path / 'y.npz'}: scores (3, 3)\n"
    found = np.load(tmp_path / "y.npz")
    assert found.files == ["scores"]
    with inn.open(path).resample(size).session() as session:
        expected = session.run(IMAGES)
    np.testing.assert_allclose(found["scores"], expected, atol=1e-5 * np.abs(expected).max())
    reference = tiny.reference(tiny.tensors(), {"small": 0.5, "full": 1.0}[size], IMAGES)
    np.testing.assert_allclose(found["scores"], reference, atol=1e-5)


@pytest.mark.parametrize(
    "array",
    [IMAGES.astype(np.float64), IMAGES.astype(">f4"), np.asfortranarray(IMAGES), IMAGES.astype(np.float16)],
)
def test_every_kind_of_array(device: Run, answer: Answer, tmp_path: Path, array: np.ndarray) -> None:
    path = tiny.write(tmp_path / "a.inn")
    np.savez(tmp_path / "x.npz", image=array, labels=np.arange(3))
    found = answer("run", path, "--input", tmp_path / "x.npz")
    expected = tiny.reference(tiny.tensors(), 1.0, IMAGES)
    np.testing.assert_allclose(found["scores"], expected, atol=1e-2 if array.dtype == np.float16 else 1e-5)


def test_classes_are_printed_alike(device: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tiny.write(tmp_path / "a.inn")
    np.save(tmp_path / "x.npy", IMAGES)
    arguments = ["run", str(path), "--input", str(tmp_path / "x.npy"), "--top", "2"]
    assert main(arguments) == 0
    assert device(*arguments).stdout == capfd.readouterr().out


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES}, "inputs: expected the names image, found x"),
        ({}, "input 'image' is missing"),
        ({"image": IMAGES.astype(np.int64)}, "input 'image': expected float32 values, found int64"),
        ({"image": IMAGES[:, :1]}, "input 'image': expected shape (batch, 2, 5, 4), found (3, 1, 5, 4)"),
        ({"image": IMAGES[:0]}, "input 'image': expected shape (batch, 2, 5, 4), found (0, 2, 5, 4)"),
        ({"image": IMAGES[0]}, "input 'image': expected shape (batch, 2, 5, 4), found (2, 5, 4)"),
    ],
)
def test_wrong_inputs(device: Run, tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = tiny.write(tmp_path / "a.inn")
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(inn.UsageError) as caught, inn.open(path).resample("full").session() as session:
        session.run(arrays)
    assert str(caught.value) == message
    result = device("run", path, "--input", tmp_path / "x.npz")
    assert (result.returncode, result.stderr) == (2, f"inn-device run: error: {message}\n")


def test_files_that_are_no_arrays(device: Run, tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    np.savez(tmp_path / "good.npz", image=IMAGES)
    np.savez_compressed(tmp_path / "compressed.npz", image=IMAGES)
    np.save(tmp_path / "good.npy", IMAGES)
    contents = [b"", b"PK", b"\x93NUMPY", (tmp_path / "compressed.npz").read_bytes()]
    for name in ("good.npz", "good.npy"):
        content = (tmp_path / name).read_bytes()
        contents += [content[:length] for length in range(1, len(content), 61)]
        contents.append(content.replace(b"'shape': (3, ", b"'shape': (3x "))
        contents.append(content.replace(b"'shape': (3, ", b"'shape': (3333333, 9999999999, "))
    for content in contents:
        (tmp_path / "x.npz").write_bytes(content)
        result = device("run", path, "--input", tmp_path / "x.npz")
        assert result.returncode == 2
        assert "x.npz: not a .npy or .npz file of plain arrays (" in result.stderr


def with_checks(path: Path, wrong: bool = False) -> Path:
    """tiny with a self-check at its smaller size."""
    document, values = tiny.manifest(), tiny.tensors()
    document["check_seed"] = 5
    document["sizes"][0]["check"] = {"scores": "check/scores@0.5"}
    expected = tiny.reference(values, 0.5, noise(5, (1, 2, 5, 4)))
    values["check/scores@0.5"] = (expected + wrong).astype(np.float32)
    return tiny.write(path, document, values)


def test_self_check(device: Run, answer: Answer, tmp_path: Path) -> None:
    found = answer("verify", with_checks(tmp_path / "a.inn"))
    assert found["tensors"] == len(tiny.tensors()) + 1
    (check,) = found["checks"]
    assert (check["size"], check["output"]) == (0.5, "scores")
    assert check["difference"] < 1e-5
    result = device("verify", with_checks(tmp_path / "a.inn", wrong=True))
    assert result.returncode == 1
    assert "size 0.5: output 'scores' differs from the self-check by" in result.stderr


def test_bench_prints_the_same_figures(
    answer: Answer, device: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, output = tiny.write(tmp_path / "a.inn"), tmp_path / "b.json"
    arguments = ["bench", str(path), "--runs", "5", "--warmup", "2", "--batch", "3", "--threads", "2"]
    assert main([*arguments, "--json", "--engine", "native"]) == 0
    expected = json.loads(capfd.readouterr().out)
    found = answer(*arguments, "-o", output)
    assert json.loads(output.read_text()) == found
    timed = {"resample", "build", "first", "warmup_mean", "min", "mean", "p50", "p95", "max", "std"}
    timed.add("peak_memory")
    unmeasured = {"engine_memory", "model_memory"}  # by the device program
    for ours, theirs in zip(found, expected):
        assert list(ours) == list(theirs)
        assert all(ours[name] is None for name in unmeasured)
        shared = ours.keys() - timed - unmeasured
        assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
        assert all(ours[name] >= 0 for name in timed)
        assert ours["min"] <= ours["p50"] <= ours["p95"] <= ours["max"]
    assert answer(*arguments[:4], "--warmup", "0")[0]["warmup_mean"] is None
    lines = device(*arguments).stdout.splitlines()
    assert lines[1].endswith("(native), 2 threads, batch 3, 2 warm-up and 5 timed runs")
    assert [line.split()[0] for line in lines[5:]] == ["small", "full"]


def test_without_mindspore_lite(device: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.write(tmp_path / "a.inn")
    monkeypatch.setenv("INNLITE_MINDSPORE_LITE", str(tmp_path))
    result = device("bench", path)
    assert result.returncode == 1
    assert "INNLITE_MINDSPORE_LITE: expected a folder with lib/libmindspore-ext" in result.stderr
    assert device("resample", path, "--size", "small", "-o", os.devnull).returncode == 0
    foreign = tmp_path / "lib" / "libmindspore-extendrt_python.so"
    foreign.parent.mkdir()
    foreign.write_bytes(b"\x7fELF of another machine")
    result = device("bench", path)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "MindSpore Lite cannot be loaded: " in result.stderr


def test_a_model_that_the_engine_refuses(device: Run, tmp_path: Path) -> None:
    document = tiny.manifest()
    document["nodes"][2]["primitive"] = 250
    np.save(tmp_path / "x.npy", IMAGES)
    path = tiny.write(tmp_path / "a.inn", document)
    result = device("run", path, "--input", tmp_path / "x.npy", "--allow-primitive", "250")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "inn-device run: error: MindSpore Lite: build: " in result.stderr


def test_inputs_that_are_not_finite(
    device: Run, answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, images = tiny.write(tmp_path / "a.inn"), IMAGES.copy()
    images[1, 0, 0, 0] = -np.inf
    np.save(tmp_path / "x.npy", images)
    arguments = ["run", str(path), "--input", str(tmp_path / "x.npy")]
    assert main(arguments) == 2
    expected = capsys.readouterr().err.replace("inn run", "inn-device run")
    result = device(*arguments)
    assert (result.returncode, result.stderr) == (2, expected)
    scores: Any = answer(*arguments, "--allow-nonfinite")
    assert len(scores["scores"]) == 3


def test_weights_that_are_not_finite_any_more(
    device: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = tiny.tensors()
    values["weight/w1"] = np.full((6, 3, 3, 8), np.finfo(np.float32).max, np.float32)
    values["table/0@0.5"] = np.full((8, 4), 2, np.float32)
    path = tiny.write(tmp_path / "a.inn", values=values)
    arguments = ["resample", str(path), "--size", "small", "-o", str(tmp_path / "a.ms")]
    assert main(arguments) == 2
    expected = capsys.readouterr().err.replace("inn resample", "inn-device resample")
    result = device(*arguments)
    assert (result.returncode, result.stderr) == (2, expected)
    assert "weight 'w1' at size 0.5 holds values that are not finite" in expected
    assert not (tmp_path / "a.ms").exists()


def test_inputs_are_not_overwritten(device: Run, tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    content = path.read_bytes()
    np.save(tmp_path / "x.npy", IMAGES)
    os.link(path, tmp_path / "b.ms")
    for arguments in (
        ["resample", path, "--size", "small", "-o", tmp_path / "b.ms"],
        ["run", path, "--input", tmp_path / "x.npy", "-o", tmp_path / "x.npy"],
        ["bench", path, "-o", path],
    ):
        result = device(*arguments)
        assert result.returncode == 2
        assert result.stderr.endswith(": is read as an input: expected another file to write\n")
    assert path.read_bytes() == content


def test_a_truncated_engine(device: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, folder = find_library().lib_folder, tmp_path / "lib"
    folder.mkdir()
    for path in find_library().load_order():
        (folder / path.name).symlink_to(path)
    (folder / "libmindspore_core.so").unlink()
    (folder / "libmindspore_core.so").write_bytes((whole / "libmindspore_core.so").read_bytes()[:5_000_000])
    monkeypatch.setenv("INNLITE_MINDSPORE_LITE", str(tmp_path))
    result = device("bench", tiny.write(tmp_path / "a.inn"))
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "libmindspore_core.so is truncated or damaged" in result.stderr
