"""Tensors stored as packed odd integers of 1 to 6 bits with a scale beside them."""

from __future__ import annotations

import contextlib
import math
import tracemalloc
from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inn_runtime.format.packed import BITS, packed_bits, packed_length, unpack
from packing import corrected, integers, pack

KEY = "weight/w1"


SHAPE = (6, 3, 3, 8)


def scaled(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.001, 0.01, shape).astype(np.float32)


def stored(bits: int, scale: np.ndarray | None) -> dict[str, np.ndarray]:
    values = {**tiny.tensors(), KEY: pack(integers(bits, *SHAPE), bits)}
    return values if scale is None else {**values, KEY + ".scale": scale}


def with_weight(path: Path, shape: tuple[int, ...], values: dict[str, np.ndarray]) -> inn.Bundle:
    """tiny with one more weight, number 6, that nothing reads; ``values`` by suffix of its name."""
    document = tiny.manifest()
    document["weights"].append({"name": "more", "dims": [[{"inner": n}] for n in shape]})
    more = {f"weight/more{suffix}": array for suffix, array in values.items()}
    return inn.open(tiny.write(path, document, {**tiny.tensors(), **more}))


@pytest.mark.parametrize(
    ("bits", "content", "expected"),
    [
        (1, "b900", [1, -1, -1, 1, 1, 1, -1, 1, -1]),
        (4, "3a80", [5, -9, -15, 1]),
        (6, "62f003", [5, -61, 63, -63]),
    ],
)
def test_the_examples_of_the_format_page(bits: int, content: str, expected: list[int]) -> None:
    found = unpack(np.frombuffer(bytes.fromhex(content), np.uint8), bits, len(expected))
    assert found.dtype == np.int8
    assert found.tolist() == expected


@pytest.mark.parametrize("bits", range(1, 8))
def test_bits_lie_as_the_format_page_says(bits: int) -> None:
    for count in range(1, 50):
        values = integers(bits, count)
        for left_over in (0, 255):  # what the last byte has left over is ignored
            np.testing.assert_array_equal(unpack(pack(values, bits, left_over), bits, count), values)


def test_the_number_of_bytes_tells_the_number_of_bits() -> None:
    for count in range(8, 200):
        found = {packed_bits(length, count) for length in range(count + 2)}
        assert found == {None, *BITS}
        for bits in BITS:
            assert packed_bits(packed_length(count, bits), count) == bits
    assert all(packed_bits(length, count) is None for count in range(1, 8) for length in range(10))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape", [(6, 1, 1, 1), (1, 1, 1, 8), (6, 1, 3, 1), SHAPE, (1, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_values_are_integers_times_scale(
    tmp_path: Path, bits: int, shape: tuple[int, ...], dtype: type
) -> None:
    scale = scaled(shape).astype(dtype)
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=stored(bits, scale)))
    found = bundle.tensor(KEY)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, integers(bits, *SHAPE) * scale.astype(np.float32))
    np.testing.assert_array_equal(bundle.tensor(KEY), found)
    assert {KEY, KEY + ".scale"} <= set(bundle.verify())


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape", [(9,), (8, 1), (30, 7), (7, 30), (5, 3, 3), (13, 4), (2, 9, 2), (1, 11)])
@pytest.mark.parametrize("block_bytes", [1, 60, 1 << 18])
def test_blocks_of_rows_begin_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, shape: tuple[int, ...], block_bytes: int
) -> None:
    monkeypatch.setattr("inn_runtime.format.container.BLOCK_BYTES", block_bytes)
    scale = scaled((shape[0], *[1] * (len(shape) - 1)))
    values = integers(bits, *shape)
    bundle = with_weight(tmp_path / "a.inn", shape, {"": pack(values, bits), ".scale": scale})
    for rows in (shape[0], 1, (shape[0] + 1) // 2, shape[0]):  # the first use also checks the rest
        blocks = list(bundle.blocks("weight/more", rows))
        np.testing.assert_array_equal(np.concatenate(blocks), (values * scale)[:rows])
        least = math.prod(shape[1:]) * 4 * 8  # up to eight rows are read for one to begin at a byte
        assert all(block.nbytes <= max(block_bytes + least, least) for block in blocks)
    np.testing.assert_array_equal(bundle.resample("full").weight(6), values * scale)


def test_tables_and_overrides_may_be_packed(tmp_path: Path) -> None:
    values = tiny.tensors()
    for key, shape, bits in (("table/0@0.5", (8, 4), 4), ("override/w2@0.5", (3, 3), 6)):
        values[key] = pack(integers(bits, *shape), bits)
        values[key + ".scale"] = np.full((1, shape[1]), 0.5, np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", values=values)).resample("small")
    np.testing.assert_array_equal(model.weight(4), integers(6, 3, 3) / 2)
    matrix = np.eye(8, 4) + integers(4, 8, 4) / 2
    np.testing.assert_allclose(model.weight(2), values[KEY][:3].astype(np.float32) @ matrix, atol=1e-5)


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
def test_corrections_are_added_to_what_the_rules_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr("inn_runtime.format.container.BLOCK_BYTES", block_bytes)
    bundle = inn.open(corrected(tmp_path / "a.inn"))
    model, values = bundle.resample("small"), tiny.tensors()
    np.testing.assert_allclose(  # its table is for others
        model.weight(2), values[KEY][:3, ..., :4] + integers(3, 3, 3, 3, 4) / 2, atol=1e-6
    )
    np.testing.assert_allclose(model.weight(4), values["weight/w2"][:, :3] + integers(2, 3, 3) / 4, atol=1e-6)
    assert bundle.manifest.is_calibrated
    assert set(bundle.verify()) == set(bundle.manifest.digests)


def test_a_damaged_correction_is_found(tmp_path: Path) -> None:
    content = bytearray(corrected(tmp_path / "a.inn").read_bytes())
    content[content.index(pack(integers(3, 3, 3, 3, 4), 3).tobytes())] ^= 1
    (tmp_path / "b.inn").write_bytes(content)
    with pytest.raises(inn.BundleError, match=r"correction/w1@0.5' is damaged"):
        inn.open(tmp_path / "b.inn").resample("small").to_bytes()


@pytest.mark.parametrize("bits", BITS)
def test_runs_like_its_float_values(tmp_path: Path, bits: int) -> None:
    scale = np.linspace(0.05, 0.1, 6, dtype=np.float32).reshape(6, 1, 1, 1) / (1 << (bits - 1))
    images = np.random.default_rng(2).standard_normal((2, 2, 5, 4)).astype(np.float32)
    plain = {**tiny.tensors(), KEY: integers(bits, *SHAPE) * scale}
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=stored(bits, scale)))
    with bundle.resample("small").session() as session:
        np.testing.assert_allclose(session.run(images), tiny.reference(plain, 0.5, images), atol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 53, 55, 215, 217, 271, 323, 325, 432, 864])
def test_wrong_number_of_bytes(tmp_path: Path, length: int) -> None:
    values = {**stored(4, scaled((6, 1, 1, 1))), KEY: np.zeros(length, np.uint8)}
    with pytest.raises(inn.BundleError, match=r"w1': expected .* packed in 1 to 6 bits, f"):
        inn.open(tiny.write(tmp_path / "a.inn", values=values))


@pytest.mark.parametrize("shape", [(), (2, 108), (1, 216), SHAPE])
def test_packed_integers_have_one_dimension(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = {**stored(4, scaled((6, 1, 1, 1))), KEY: np.zeros(shape, np.uint8)}
    with pytest.raises(inn.BundleError, match="packed in 1 to 6 bits"):
        inn.open(tiny.write(tmp_path / "a.inn", values=values))


@pytest.mark.parametrize("length", range(1, 8))
def test_few_values_are_not_packed(tmp_path: Path, length: int) -> None:
    arrays = {"": np.zeros(length, np.uint8), ".scale": np.ones(1, np.float32)}
    with pytest.raises(inn.BundleError, match=r"'weight/more': expected .* packed in 1 to 6"):
        with_weight(tmp_path / "a.inn", (7,), arrays)


@pytest.mark.parametrize("shape", [(1 << 30, 8), (1 << 30,) * 8])
def test_more_values_than_the_file_has_bytes_for(tmp_path: Path, shape: tuple[int, ...]) -> None:
    arrays = {"": np.zeros(4, np.uint8), ".scale": np.ones([1] * len(shape), np.float32)}
    with pytest.raises(inn.BundleError, match=r"'weight/more': expected shape \(1073741824, "):
        with_weight(tmp_path / "a.inn", shape, arrays)


def test_more_values_than_a_model_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inn_runtime.format.checks.MAX_STORED_ELEMENTS", 431)
    with pytest.raises(inn.BundleError, match=r"w1': expected at most 431 elements, found \(6, 3, 3, 8\)"):
        inn.open(tiny.write(tmp_path / "a.inn", values=stored(4, scaled((6, 1, 1, 1)))))


def test_missing_scale(tmp_path: Path) -> None:
    with pytest.raises(inn.BundleError, match=r"'weight/w1\.scale' is missing from the file"):
        inn.open(tiny.write(tmp_path / "a.inn", values=stored(6, None)))


@pytest.mark.parametrize("shape", [(), (432,), (324,), (6,), (6, 1, 1, 1, 1), (3, 1, 1, 1), (0, 1, 1, 1)])
def test_wrong_shape_of_the_scale(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = stored(6, np.full(shape, 0.1, np.float32))
    with pytest.raises(inn.BundleError, match=r"\.scale': expected each dimension of \(6, 3, 3, 8\) or 1"):
        inn.open(tiny.write(tmp_path / "a.inn", values=values))


def test_a_scale_is_not_packed(tmp_path: Path) -> None:
    values = stored(6, pack(integers(6, *SHAPE), 6))
    with pytest.raises(inn.BundleError, match=r"\.scale': expected each dimension"):
        inn.open(tiny.write(tmp_path / "a.inn", values=values))
    arrays = {"": np.zeros(8, np.uint8), ".scale": np.zeros(8, np.uint8)}
    with pytest.raises(inn.BundleError, match=r"\.scale': expected float16 or float32, found uint8"):
        with_weight(tmp_path / "a.inn", (16,), {**arrays, ".scale": np.zeros(16, np.uint8)})


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_values_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    values = stored(6, np.full((6, 1, 1, 1), bad, np.float32))
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    with pytest.raises(inn.BundleError, match=r"weight/w1(\.scale)?' holds values that are not finite"):
        bundle.tensor(KEY)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 1 << 16), value=st.integers(0, 255))
def test_any_byte_changed_never_crashes(tmp_path: Path, position: int, value: int) -> None:
    path = tiny.write(tmp_path / "a.inn", values=stored(6, scaled((6, 1, 1, 1))))
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    with contextlib.suppress(inn.InnError):
        list(inn.open(path).verify())


def test_every_damaged_byte_is_found(tmp_path: Path) -> None:
    values = stored(6, scaled((6, 1, 1, 1)))
    document = {**tiny.manifest(), "digests": {k: tiny.digest(v) for k, v in values.items()}}
    for position in (0, 1, 161, 323):
        changed = values[KEY].copy()
        changed[position] ^= 128
        bundle = inn.open(tiny.write(tmp_path / "a.inn", document, {**values, KEY: changed}))
        with pytest.raises(inn.BundleError, match=r"weight/w1' is damaged"):
            bundle.resample("small").weight(2)


@pytest.mark.parametrize("bits", BITS)
def test_memory_of_unpacking_is_bounded(tmp_path: Path, bits: int) -> None:
    shape = (4001, 1023)  # no row but every fourth begins at a byte
    content = np.random.default_rng(0).integers(0, 256, packed_length(math.prod(shape), bits), np.uint8)
    scale = np.full((shape[0], 1), 0.5, np.float32)
    bundle = with_weight(tmp_path / "a.inn", shape, {"": content, ".scale": scale})
    for _ in range(2):
        tracemalloc.start()
        total = sum(block.nbytes for block in bundle.blocks("weight/more"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert total == 4 * math.prod(shape)
        assert peak < 4e6, f"{peak / 1e6:.1f} MB for {total / 1e6:.1f} MB"
