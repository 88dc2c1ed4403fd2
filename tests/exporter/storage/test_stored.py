"""What the exporter stores is, bit for bit, what the runtime reads."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.storage.stored import Stored, pack, store
from inn_runtime.format.packed import unpack
from networks import images

LARGEST = {"int8": 127, "int6": 63, "int5": 31, "int4": 15, "int3": 7, "int2": 3, "int1": 1}

STORAGES = tuple(LARGEST)


@pytest.mark.parametrize("bits", range(1, 8))
@pytest.mark.parametrize("shape", [(1,), (7,), (8,), (3, 5), (4, 3, 3, 3)])
def test_the_runtime_unpacks_what_is_packed(bits: int, shape: tuple[int, ...]) -> None:
    codes = np.random.default_rng(0).integers(0, 1 << bits, shape)
    values = (2 * codes - ((1 << bits) - 1)).astype(np.int8)
    content = pack(values, bits)
    number = sum(int(code) << i * bits for i, code in enumerate(codes.ravel()))
    assert content.tobytes() == number.to_bytes(-(-values.size * bits // 8), "little")
    np.testing.assert_array_equal(unpack(content, bits, values.size).reshape(shape), values)
    np.testing.assert_array_equal(pack(values.T, bits), pack(values.T.copy(), bits))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("channel", [0, 1, 3])
def test_integers_have_a_scale_per_channel(storage: str, channel: int) -> None:
    values = images(5, 4, 3, 6) * np.logspace(-3, 3, 5, dtype=np.float32).reshape(5, 1, 1, 1)
    values = np.moveaxis(values, 0, channel)
    values[(slice(None),) * channel + (2,)] = 0
    found = store(values, storage, channel)
    assert found.scale is not None
    assert found.scale.shape == tuple(5 if axis == channel else 1 for axis in range(4))
    assert found.scale.dtype in (np.float16, np.float32)
    assert found.values.dtype == np.int8
    assert np.abs(found.values).max() == LARGEST[storage]
    # Within half a step, which is two where integers are odd, except for values beyond the largest.
    others = tuple(axis for axis in range(4) if axis != channel)
    largest = np.abs(values).max(others, keepdims=True)
    half = largest / LARGEST[storage] * (0.501 if storage == "int8" else 1.001)
    outside = np.abs(found.read() - values) > half
    assert not outside.any() if storage == "int8" else outside.mean() < 0.1
    assert not found.read()[(slice(None),) * channel + (2,)].any()


@pytest.mark.parametrize("storage", ["int6", "int4"])
def test_clipping_lowers_the_error_of_every_channel(storage: str) -> None:
    values = images(50, 200)
    values[:25] = np.sign(values[:25])  # here there is nothing to gain
    values *= LARGEST[storage]  # so that these have a scale of 1
    scale = np.abs(values).max(1, keepdims=True) / LARGEST[storage]
    odd = np.clip(2 * np.floor(values / scale / 2) + 1, -LARGEST[storage], LARGEST[storage])
    plain = np.square(odd * scale - values).sum(1)
    found = np.square(store(values, storage).read() - values).sum(1)
    assert (found <= 1.0005 * plain + 1e-6).all()  # of a scale in float16
    assert found[:25] == pytest.approx(np.zeros(25), abs=1e-6)
    if storage == "int4":
        assert found[25:].sum() < 0.9 * plain[25:].sum()


def test_few_bits_have_the_least_error_that_they_can() -> None:
    """Of normal values: Max, Quantizing for minimum distortion, 1960, table II (equal steps)."""
    values = np.random.default_rng(0).normal(size=(8, 5000)).astype(np.float32)
    for storage, least in (("int1", 0.3634), ("int2", 0.1188), ("int3", 0.03744), ("int4", 0.01154)):
        error = np.square(store(values, storage).read() - values).mean() / np.square(values).mean()
        assert error == pytest.approx(least, rel=0.03)


@pytest.mark.parametrize(("factor", "dtype"), [(1, "float16"), (1e-5, "float32"), (1e8, "float32")])
def test_scales_are_float16_where_they_keep_their_digits(factor: float, dtype: str) -> None:
    values = images(5, 40) * np.float32(factor)
    for storage in ("int8", "int4"):
        found = store(values, storage)
        assert found.scale is not None
        assert found.scale.dtype == dtype
        assert np.abs(found.read() - values).max() < 0.1 * np.abs(values).max()


@pytest.mark.parametrize("storage", STORAGES)
def test_tiny_values_do_not_wrap_around(storage: str) -> None:
    """Where float32 runs out of digits, a scale may be too small by a third."""
    values = np.full((2, 8), 190 * 2.0**-149, np.float32)
    assert (store(values, storage).read() > 0).all()
    assert store(values * 0, storage).read() == pytest.approx(np.zeros((2, 8)))


def test_few_values_and_vectors_are_not_packed() -> None:
    assert store(np.ones((7, 1)), "int4").bits is None
    assert store(np.ones((8, 1)), "int4").bits == 4
    assert store(np.ones(100), "int4").values.dtype == np.float32


def test_bytes_are_counted_as_in_the_bundle() -> None:
    sizes = {"float32": 4, "float16": 2, "int8": 1, "int6": 0.75, "int4": 0.5, "int2": 0.25}
    for storage, per_value in sizes.items():
        tensors: dict[str, np.ndarray] = {}
        found = store(images(5, 7, 3), storage)
        found.add_to(tensors, "t")
        assert found.nbytes == tensors["t"].nbytes == np.ceil(105 * per_value)


@pytest.mark.parametrize("storage", ["float32", "float16", *STORAGES])
def test_permuted_values_keep_their_scales(storage: str) -> None:
    stored = store(images(5, 4, 3, 6), storage)
    for order in ((0, 2, 3, 1), (3, 1, 0, 2)):
        found = stored.transpose(order)
        np.testing.assert_array_equal(found.read(), stored.read().transpose(order))
        assert all(a is None or a.flags.c_contiguous for a in (found.values, found.scale))
        assert found.bits == stored.bits
    assert Stored(np.float32(3).reshape(())).transpose(()).values.shape == ()


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_stored_values_are_what_the_runtime_reads(storage: str) -> None:
    values = np.random.default_rng(0).standard_normal((5, 3, 3, 4)).astype(np.float32)
    stored = store(values, storage)
    worst = {"float32": 0.0, "float16": 2e-3, "int8": np.abs(values).max() / 250}[storage]
    assert np.abs(stored.read() - values).max() <= worst
    assert stored.values.dtype == storage
    assert (stored.scale is None) == (storage != "int8")


def test_biases_and_large_values_stay_float32() -> None:
    assert store(np.ones(3), "int8").values.dtype == np.float32
    assert store(np.full((2, 2), 1e6), "float16").values.dtype == np.float32
    assert store(np.zeros((2, 2)), "int8").read() == pytest.approx(np.zeros((2, 2)))


@pytest.mark.parametrize("hidden", [-1e9, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("storage", ["float16", *STORAGES])
def test_a_mask_keeps_what_it_does_not_hide(storage: str, hidden: float) -> None:
    mask = np.where(np.tri(8, dtype=bool), images(8, 8), np.float32(hidden))
    assert np.array_equal(store(mask, storage).read(), mask)


def test_large_values_that_hide_nothing_are_integers() -> None:
    assert store(1e8 * images(4, 4), "int8").values.dtype == np.int8
