"""The app's classes on a plain JVM: the screen's logic, and the native side over the real MindSpore Lite."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import inn_runtime as inn
import numpy as np
import picture_bundle
import pytest
import tiny
from building import JUNIT, SOURCES, run
from inn_runtime.engine.library import find_library
from inn_runtime.preprocessing import Preprocessing
from PIL import Image

Probe = Callable[..., "dict[str, list[str]]"]


def test_the_screens_logic(classes: Path) -> None:
    tests = sorted(path.stem for path in (SOURCES / "test").rglob("*Test.java"))
    assert len(tests) >= 3
    classpath = ":".join(map(str, [classes, *JUNIT]))
    names = [f"org.innlite.demo.{name}" for name in tests]
    result = run("java", "-cp", classpath, "org.junit.runner.JUnitCore", *names)
    assert result.returncode == 0, result.stdout
    assert re.search(r"OK \(\d\d+ tests\)", result.stdout)


@pytest.fixture
def probe(classes: Path, native: Path, tmp_path: Path) -> Probe:
    """Open a bundle and run a picture through the app's classes: each line's key and its values."""

    def call(bundle: Path, pixels: np.ndarray | None = None, **properties: object) -> dict[str, list[str]]:
        pixels = picture_bundle.pixels(0) if pixels is None else pixels
        argb = (0xFF << 24) + (pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32))
        file = tmp_path / "pixels"
        file.write_bytes(argb.astype(">u4").tobytes())
        settings = {
            "native": native / "libinn_android.so",
            "engine": native / "arm" / "libinn_engine.so",
            "mindspore": find_library().lib_folder,
            **properties,
        }
        options = [f"-Dinn.{name}={value}" for name, value in settings.items()]
        height, width = pixels.shape[:2]
        result = run(
            *(
                "java",
                *options,
                "-Dfile.encoding=UTF-8",
                "-Dsun.stdout.encoding=UTF-8",
                "-Dstdout.encoding=UTF-8",
            ),
            *("-cp", classes, "org.innlite.demo.Probe", bundle, file, width, height),
        )
        assert result.returncode == 0, result.stderr
        found: dict[str, list[str]] = {}
        for line in result.stdout.splitlines():
            key, _, rest = line.partition(" ")
            found.setdefault(key, []).append(rest)
        return found

    return call


def numbers(text: str) -> np.ndarray:
    return np.array([float(part) for part in text.split()])


def test_answers_are_those_of_numpy(probe: Probe, tmp_path: Path) -> None:
    path = picture_bundle.write(tmp_path / "tiny.inn")
    found = probe(path, picture_bundle.pixels(3))
    assert found["name"] == ["tiny agreement"]
    assert found["labels"] == ["a b c"]
    bundle = inn.open(path)
    for size, line, scores in zip((0.5, 1.0), found["size"], found["scores"]):
        model = bundle.resample(size)
        quality = 0.9 if size == 0.5 else np.nan
        expected = [size, model.parameters, 2 * model.macs, 1, quality, len(model.to_bytes())]
        np.testing.assert_allclose(numbers(line), expected)
        powers = np.exp(numbers(scores) - numbers(scores).max())
        np.testing.assert_allclose(
            powers / powers.sum(), list(picture_bundle.shares(3, size).values()), atol=1e-5
        )
    assert found["refused"] == ["input image: expected 60 values, found 3"] * 2
    assert found["closed"] == ["The model is closed."] * 2


@pytest.mark.parametrize("shape", [(5, 4), (9, 31), (300, 200), (120, 64), (3, 2), (1, 50)])
@pytest.mark.parametrize("crop", [1.0, 0.8])
def test_pictures_become_the_input_as_at_export(
    probe: Probe, tmp_path: Path, shape: tuple[int, int], crop: float
) -> None:
    document, values = picture_bundle.parts()
    preprocess = {**picture_bundle.PREPROCESSING, "crop": crop}
    document["inputs"][0]["preprocessing"] = preprocess
    random = np.random.default_rng(sum(shape))
    smooth = random.integers(0, 256, (3, 3, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(smooth).resize(shape[::-1], Image.Resampling.BICUBIC))
    pixels = np.where(random.random((*shape, 1)) < 0.2, 255 - pixels, pixels).astype(np.uint8)
    found = numbers(probe(tiny.write(tmp_path / "tiny.inn", document, values), pixels)["input"][0])
    expected = Preprocessing.parse(preprocess, (1, 3, 5, 4))(Image.fromarray(pixels), 3)
    std = np.array(preprocess["std"])[:, None, None]
    levels = np.abs(found.reshape(3, 5, 4) - expected) * 255 * std  # in steps of a pixel's value
    assert levels.max() < 1.01
    assert np.mean(levels > 0.5) < 0.1


def test_labels_of_any_language_arrive(probe: Probe, tmp_path: Path) -> None:
    document, values = picture_bundle.parts()
    document["labels"] = ["Größe", "猫", "👟"]
    assert probe(tiny.write(tmp_path / "tiny.inn", document, values))["labels"] == ["Größe 猫 👟"]


def test_a_bundle_that_says_nothing_of_pictures_is_told_apart(probe: Probe, tmp_path: Path) -> None:
    document, values = picture_bundle.parts()
    document["inputs"][0]["preprocessing"] = None
    assert probe(tiny.write(tmp_path / "tiny.inn", document, values))["no"] == ["preprocessing"]


def test_what_is_no_bundle_is_said(probe: Probe, tmp_path: Path) -> None:
    good = picture_bundle.write(tmp_path / "good.inn").read_bytes()
    document, values = picture_bundle.parts()
    document["inputs"][0]["preprocessing"] = {"std": [1, 2]}
    tiny.write(tmp_path / "std.inn", document, values)
    document["inputs"][0]["preprocessing"] = {"crop": 0}
    tiny.write(tmp_path / "crop.inn", document, values)
    for name, content, message in (
        ("junk.inn", b"\0" * 100, "not an INN-Lite bundle"),
        ("short.inn", good[:-50], "not an INN-Lite bundle, or a truncated one"),
        ("none.inn", None, "No such file"),
        ("std.inn", None, "preprocessing: std: expected 3 numbers, found 2"),
        ("crop.inn", None, "preprocessing: expected crop, scale and std above 0"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        (error,) = probe(tmp_path / name)["error"]
        assert message in error
    damaged = bytearray(good)
    damaged[-4] ^= 0xFF
    (tmp_path / "damaged.inn").write_bytes(damaged)
    (error,) = probe(tmp_path / "damaged.inn")["error"]
    assert "is damaged: expected sha256" in error


def test_a_native_library_for_another_machine_is_said(probe: Probe, tmp_path: Path, native: Path) -> None:
    bundle = picture_bundle.write(tmp_path / "tiny.inn")
    foreign = bytearray((native / "libinn_android.so").read_bytes())
    foreign[18:20] = (243).to_bytes(2, "little")  # ELF's e_machine: RISC-V
    (tmp_path / "libforeign.so").write_bytes(foreign)
    (error,) = probe(bundle, native=tmp_path / "libforeign.so")["error"]
    assert error.startswith("The native library cannot be loaded on this device (")
    (error,) = probe(bundle, native=tmp_path / "missing.so")["error"]
    assert error.startswith("The native library cannot be loaded on this device (")
    (error,) = probe(bundle, engine=tmp_path / "missing.so")["error"]
    assert "MindSpore Lite cannot be loaded: " in error
