"""Tensors stored as int8 with a scale beside them."""

from __future__ import annotations

from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny

KEY = "weight/w1"
SHAPE = (6, 3, 3, 8)


def stored(scale: np.ndarray | None) -> dict[str, np.ndarray]:
    values = tiny.tensors()
    values[KEY] = np.random.default_rng(0).integers(-127, 128, SHAPE).astype(np.int8)
    if scale is not None:
        values[KEY + ".scale"] = scale
    return values


@pytest.mark.parametrize("shape", [(6, 1, 1, 1), (1, 1, 1, 8), (6, 1, 3, 1), SHAPE, (1, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_values_are_integers_times_scale(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    scale = np.random.default_rng(1).uniform(0.001, 0.01, shape).astype(dtype)
    values = stored(scale)
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    found = bundle.tensor(KEY)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values[KEY].astype(np.float32) * scale.astype(np.float32))
    np.testing.assert_array_equal(bundle.tensor(KEY), found)
    assert KEY + ".scale" in list(bundle.verify())


@pytest.mark.parametrize("shape", [(6, 1, 1, 1), (1, 1, 1, 8)])
def test_blocks_of_rows_take_their_own_scales(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr("inn_runtime.format.container.BLOCK_BYTES", 4 * 72 * 4)
    values = stored(np.random.default_rng(1).uniform(0.001, 0.01, shape).astype(np.float32))
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    blocks = list(bundle.blocks(KEY, 5))
    assert [len(block) for block in blocks] == [4, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), (values[KEY] * values[KEY + ".scale"])[:5])


def test_runs_like_its_float_values(tmp_path: Path) -> None:
    scale = np.linspace(0.001, 0.005, 6, dtype=np.float32).reshape(6, 1, 1, 1)
    values = stored(scale)
    images = np.random.default_rng(2).standard_normal((2, 2, 5, 4)).astype(np.float32)
    plain = {**values, KEY: values[KEY] * scale}
    with inn.open(tiny.write(tmp_path / "a.inn", values=values)).resample("small").session() as session:
        np.testing.assert_allclose(session.run(images), tiny.reference(plain, 0.5, images), atol=1e-5)


def test_tables_and_overrides_may_be_int8(tmp_path: Path) -> None:
    values = tiny.tensors()
    for key, shape in (("table/0@0.5", (8, 4)), ("override/w2@0.5", (3, 3))):
        values[key] = np.arange(np.prod(shape), dtype=np.int8).reshape(shape)
        values[key + ".scale"] = np.full((1, shape[1]), 0.5, np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", values=values)).resample("small")
    np.testing.assert_array_equal(model.weight(4), np.arange(9).reshape(3, 3) / 2)


def test_missing_scale(tmp_path: Path) -> None:
    with pytest.raises(inn.BundleError, match=r"'weight/w1\.scale' is missing from the file"):
        inn.open(tiny.write(tmp_path / "a.inn", values=stored(None)))


@pytest.mark.parametrize(
    "shape", [(), (6,), (6, 1, 1), (6, 1, 1, 1, 1), (3, 1, 1, 1), (8, 1, 1, 1), (0, 1, 1, 1)]
)
def test_wrong_shape_of_the_scale(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = stored(np.full(shape, 0.1, np.float32))
    with pytest.raises(
        inn.BundleError, match=r"'weight/w1\.scale': expected each dimension of \(6, 3, 3, 8\) or 1"
    ):
        inn.open(tiny.write(tmp_path / "a.inn", values=values))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_wrong_type_of_the_scale(tmp_path: Path, dtype: type) -> None:
    with pytest.raises(inn.BundleError, match=r"\.scale': expected float16 or float32, found u?int8"):
        inn.open(tiny.write(tmp_path / "a.inn", values=stored(np.ones((6, 1, 1, 1), dtype))))


def test_scale_without_int8_values(tmp_path: Path) -> None:
    values = {**tiny.tensors(), KEY + ".scale": np.ones((6, 1, 1, 1), np.float32)}
    with pytest.raises(inn.BundleError, match=r"'weight/w1\.scale' is not in the manifest"):
        inn.open(tiny.write(tmp_path / "a.inn", values=values))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scale_that_is_not_finite(tmp_path: Path, bad: float) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=stored(np.full((6, 1, 1, 1), bad, np.float32))))
    with pytest.raises(inn.BundleError, match=r"weight/w1\.scale' holds values that are not finite"):
        bundle.tensor(KEY)


def test_product_that_overflows(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=stored(np.full((6, 1, 1, 1), 1e38, np.float32))))
    with pytest.raises(inn.BundleError, match=r"weight/w1' holds values that are not finite"):
        bundle.tensor(KEY)


def test_scalars(tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["weights"].append({"name": "scalar", "dims": []})
    values |= {"weight/scalar": np.array(-7, np.int8), "weight/scalar.scale": np.array(0.5, np.float32)}
    model = inn.open(tiny.write(tmp_path / "a.inn", document, values)).resample("full")
    assert model.weight(6) == -3.5
