"""Resampled models on disk: kept, found, evicted, damaged, no disk."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import anysize
import inn_runtime as inn
import pytest
from inn_runtime.model_cache import ModelCache


@pytest.fixture
def plain(tmp_path: Path) -> inn.Bundle:
    return anysize.write(tmp_path / "a.inn")


def opened(plain: inn.Bundle, folder: Path, max_mb: float = 1.0) -> inn.Bundle:
    return inn.open(plain.source, cache=ModelCache(folder, max_mb))


def without_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("sampled")

    monkeypatch.setattr(inn.Model, "blocks", fail)


@pytest.mark.parametrize("weights", ["float32", "float16"])
def test_a_model_is_sampled_once(
    plain: inn.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    expected = bytes(plain.resample(0.5, weights=weights).to_bytes())
    assert bytes(opened(plain, tmp_path / "c").resample(0.5, weights=weights).to_bytes()) == expected
    without_sampling(monkeypatch)
    assert bytes(opened(plain, tmp_path / "c").resample(0.5, weights=weights).to_bytes()) == expected
    with pytest.raises(AssertionError, match="sampled"):
        opened(plain, tmp_path / "c").resample(0.75, weights=weights).to_bytes()


def test_another_bundle_or_type_of_weights_is_another_model(plain: inn.Bundle, tmp_path: Path) -> None:
    other = anysize.write(tmp_path / "b.inn", measured=False)
    for bundle in (plain, other):
        opened(bundle, tmp_path / "c").resample(0.5).to_bytes()
        opened(bundle, tmp_path / "c").resample(0.5, weights="float16").to_bytes()
    assert len(list((tmp_path / "c").iterdir())) == 4


def test_the_least_recently_used_go_first(plain: inn.Bundle, tmp_path: Path) -> None:
    sizes = (0.25, 0.5, 0.75)
    lengths = {size: len(plain.resample(size).to_bytes()) + 16 for size in sizes}
    bundle = opened(plain, tmp_path / "c", (lengths[0.25] + lengths[0.75] + 10) / 1e6)
    bundle.resample(0.25).to_bytes()
    bundle.resample(0.5).to_bytes()
    paths = {path.stat().st_size: path for path in (tmp_path / "c").iterdir()}
    os.utime(paths[lengths[0.5]], (1, 1))  # long ago
    bundle.resample(0.25).to_bytes()
    bundle.resample(0.75).to_bytes()
    kept = {path.stat().st_size for path in (tmp_path / "c").iterdir()}
    assert kept == {lengths[0.25], lengths[0.75]}


def test_a_model_larger_than_the_cache_is_not_kept(plain: inn.Bundle, tmp_path: Path) -> None:
    assert len(opened(plain, tmp_path / "c", 1e-3).resample(1.0).to_bytes()) > 1000
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_replaced(
    plain: inn.Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    bundle = opened(plain, tmp_path / "c")
    expected = bytes(bundle.resample(0.5).to_bytes())
    (path,) = (tmp_path / "c").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        assert bytes(bundle.resample(0.5).to_bytes()) == expected
    assert ["is damaged" in record.getMessage() for record in caplog.records] == [True]
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_to_is_said_once(
    plain: inn.Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "c").write_text("no folder")
    bundle = opened(plain, tmp_path / "c")
    with caplog.at_level(logging.WARNING):
        for size in (0.5, 0.75):
            assert bytes(bundle.resample(size).to_bytes()) == bytes(plain.resample(size).to_bytes())
    assert ["are not kept" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("max_mb", [0, -1, float("nan")])
def test_wrong_limits(max_mb: float) -> None:
    with pytest.raises(inn.UsageError, match="max_mb: expected a positive number"):
        ModelCache(max_mb=max_mb)
