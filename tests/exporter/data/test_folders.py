"""Folders of images as network inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
from inn_exporter import CalibrationDataError, export
from inn_exporter.data.folders import load_folder
from inn_runtime import UsageError
from inn_runtime.preprocessing import Preprocessing
from networks import Network
from onnx import ModelProto
from PIL import Image

SHAPE = (1, 3, 8, 10)
VALUES: dict[str, Any] = {"scale": 255, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1], "crop": 0.8}


def write(folder: Path, count: int, mode: str = "RGB") -> list[np.ndarray]:
    """Images of 40 x 30 pixels."""
    random, found = np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        shape = (30, 40, 3) if mode == "RGB" else (30, 40)
        found.append(random.integers(0, 256, shape).astype(np.uint8))
        Image.fromarray(found[-1], mode).save(folder / f"{index:02}.png")
    return found


def test_images_are_cropped_scaled_and_normalised(tmp_path: Path) -> None:
    (pixels,) = write(tmp_path / "below", 1)
    found = load_folder(tmp_path, Preprocessing.parse({**VALUES, "crop": 1.0}, SHAPE), 3)
    assert found.shape == (1, 3, 8, 10)
    assert found.dtype == np.float32
    # 40 x 30 to 10 x 8: the central 37.5 x 30 pixels.
    middle = np.asarray(
        Image.fromarray(pixels).resize((10, 8), Image.Resampling.BILINEAR, (1.25, 0, 38.75, 30))
    )
    expected = (middle / 255 - VALUES["mean"]) / VALUES["std"]
    np.testing.assert_allclose(found[0], expected.transpose(2, 0, 1), atol=1e-5)


def test_grey_inputs_take_any_image(tmp_path: Path) -> None:
    write(tmp_path, 2)
    found = load_folder(tmp_path, Preprocessing.parse({}, (1, 1, 4, 4)), 1)
    assert found.shape == (2, 1, 4, 4)
    assert 0 <= found.min() < found.max() <= 255


def network() -> ModelProto:
    net = Network()
    x = net.node("Relu", net.conv(net.input(3, 8, 10), 3, 16))
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    net.output(net.node("Gemm", x, net.weight(5, 16), net.weight(5), transB=1))
    return net.model()


def test_a_folder_calibrates_as_its_arrays_do(tmp_path: Path) -> None:
    write(tmp_path / "photos", 30)
    bundle = export(network(), tmp_path / "a.inn", tmp_path / "photos", preprocessing=VALUES, sizes=(0.5,))
    arrays = load_folder(tmp_path / "photos", Preprocessing.parse(VALUES, SHAPE), 3)
    same = export(network(), tmp_path / "b.inn", arrays, preprocessing={"x": VALUES}, sizes=(0.5,))
    for index in range(len(bundle.manifest.weights)):
        one, two = (b.resample(0.5).weight(index) for b in (bundle, same))
        np.testing.assert_array_equal(one, two)
    assert inn.open(tmp_path / "a.inn").manifest.inputs[0].preprocessing == VALUES


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sizes": [8, 10]}, "expected fields size, crop, scale, mean, std, layout, found 'sizes'"),
        ({"size": [10, 8]}, r"size: expected \[8, 10\], found \[10, 8\]"),
        ({"mean": [1, 2]}, r"mean: expected 3 number\(s\), found \[1, 2\]"),
        ({"std": 0}, "std: expected more than 0, found 0"),
        ({"scale": "255"}, "scale: expected 1 number"),
        ({"scale": True}, "scale: expected 1 number"),
        ({"crop": 1.5}, "crop: expected at most 1, found 1.5"),
        ({"layout": "NHWC"}, "layout: expected 'NCHW'"),
    ],
)
def test_wrong_preprocessing_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Preprocessing.parse(values, SHAPE)


def test_folders_that_will_not_do(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    with pytest.raises(UsageError, match="needs --preprocess: how they become the input 'x'"):
        export(network(), tmp_path / "a.inn", folder)
    with pytest.raises(CalibrationDataError, match="no image files here"):
        export(network(), tmp_path / "a.inn", folder, preprocessing=VALUES)
    (folder / "a.png").write_text("no")
    with pytest.raises(CalibrationDataError, match=r"a\.png: not an image that can be read"):
        export(network(), tmp_path / "a.inn", folder, preprocessing=VALUES)
    with pytest.raises(UsageError, match="images need an input of 1 or 3 channels"):
        Preprocessing.parse({}, (1, 2, 4, 4))
    assert not (tmp_path / "a.inn").exists()
