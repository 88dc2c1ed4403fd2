"""Bundles without what a device does not need."""

from __future__ import annotations

from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from inn_runtime.format.strip import strip
from inn_runtime.noise import noise


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """tiny with a third size, self-checks and a source network."""
    document, values = tiny.manifest(), tiny.tensors()
    half, full = document["sizes"]
    middle = {**half, "size": 0.75, "tables": {"0": "table/0@0.75"}, "overrides": {}}
    middle["widths"] = [4, 3]
    values["table/0@0.75"] = values["table/0@0.5"]
    document["sizes"] = [half, middle, full]
    document["presets"] = {"small": 0.5, "large": 0.75, "full": 1.0}
    for size in document["sizes"]:
        key = f"check/scores@{size['size']:g}"
        size["check"] = {"scores": key}
        values[key] = tiny.reference(values, size["size"], noise(0, (1, 2, 5, 4))).astype(np.float32)
    values["source.onnx"] = np.frombuffer(b"a network", np.uint8)
    return tiny.write(tmp_path / "a.inn", document, values)


def stripped(path: Path, *arguments: float, **options: bool) -> inn.Bundle:
    target = path.with_name("small.inn")
    target.write_bytes(strip(inn.open(path), *arguments, **options))
    return inn.open(target)


def test_models_stay_the_same_to_the_byte(path: Path) -> None:
    before, after = inn.open(path), stripped(path)
    for size in (0.5, 0.75, 1.0):
        assert bytes(after.resample(size).to_bytes()) == bytes(before.resample(size).to_bytes())
    assert list(after.verify())
    assert path.with_name("small.inn").stat().st_size < path.stat().st_size
    assert not any(size.check for size in after.manifest.sizes)
    with pytest.raises(inn.BundleError, match="does not carry its source graph"):
        after.source_model()


def test_what_is_asked_for_is_kept(path: Path) -> None:
    after = stripped(path, keep_check=True, keep_source=True)
    assert after.source_model() == b"a network"
    assert all(size.check for size in after.manifest.sizes)
    assert after.manifest == inn.open(path).manifest


@pytest.mark.parametrize(
    ("least", "most", "sizes", "presets"),
    [
        (0.0, 0.5, [0.5, 1.0], {"small": 0.5, "full": 1.0}),
        (0.6, 1.0, [0.75, 1.0], {"large": 0.75, "full": 1.0}),
        (0.6, 0.8, [0.75, 1.0], {"large": 0.75, "full": 1.0}),
    ],
)
def test_a_range_of_sizes(
    path: Path, least: float, most: float, sizes: list[float], presets: dict[str, float]
) -> None:
    after = stripped(path, least, most)
    assert [size.size for size in after.manifest.sizes] == sizes
    assert after.manifest.presets == presets
    before = inn.open(path)
    for size in sizes:
        assert bytes(after.resample(size).to_bytes()) == bytes(before.resample(size).to_bytes())


@pytest.mark.parametrize(("least", "most"), [(0.9, 1.0), (0.8, 0.9), (0.0, 0.1), (1.0, 0.5)])
def test_a_range_without_sizes_is_refused(path: Path, least: float, most: float) -> None:
    with pytest.raises(inn.UsageError, match=r"the bundle has 0\.5, 0\.75, 1"):
        strip(inn.open(path), least, most)


def test_damage_is_not_passed_on(path: Path) -> None:
    bundle = inn.open(path)
    content = bytearray(path.read_bytes())
    values = tiny.tensors()["weight/w0"].tobytes()
    content[content.index(values)] ^= 1
    path.write_bytes(content)
    with pytest.raises(inn.BundleError, match="weight/w0"):
        strip(bundle, 0, 1)
