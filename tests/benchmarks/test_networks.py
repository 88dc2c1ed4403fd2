"""What the benchmarks build by themselves: PyTorch's weights without PyTorch, mosaics, pages."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.networks import demosaicnet, efficientnet_lite0, orientation, torch_weights

KEY = "94037"


class _Named:
    """Pickles as the global ``module.name``."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Tensor:
    """Pickles as a PyTorch tensor: a view of a storage."""

    def __init__(self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.view = (offset, shape, strides)


class _Pickler(pickle._Pickler):  # the one in Python, which says what a class looks like in the file
    dispatch: dict[Any, Any] = pickle._Pickler.dispatch.copy()

    def save_named(self, value: _Named) -> None:
        self.write(pickle.GLOBAL + "\n".join((*value.name.rsplit(".", 1), "")).encode())

    def save_tensor(self, value: _Tensor) -> None:
        storage = ("storage", _Named("torch.FloatStorage"), KEY, "cpu", 6, None)
        self.save(_Named("torch._utils._rebuild_tensor_v2"))
        self.write(pickle.MARK)
        self.save(storage)
        self.write(pickle.BINPERSID)
        for part in (*value.view, False, OrderedDict()):
            self.save(part)
        self.write(pickle.TUPLE + pickle.REDUCE)

    dispatch[_Named], dispatch[_Tensor] = save_named, save_tensor


def state_file(state: Any, values: np.ndarray) -> bytes:
    """A state dict as PyTorch wrote it before 1.6, of one storage."""
    stream = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state, [KEY]):
        _Pickler(stream, 2).dump(part)
    return stream.getvalue() + len(values).to_bytes(8, "little") + values.astype("<f4").tobytes()


def test_state_dict_is_read_with_its_strides_and_offsets() -> None:
    values = np.arange(6, dtype=np.float32)
    state = OrderedDict(weight=_Tensor(0, (2, 3), (3, 1)), turned=_Tensor(1, (2, 2), (1, 3)))
    found = torch_weights.read_state(state_file(state, values))
    assert list(found) == ["weight", "turned"]
    np.testing.assert_array_equal(found["weight"], values.reshape(2, 3))
    np.testing.assert_array_equal(found["turned"], [[1, 4], [2, 5]])


def test_state_dict_that_would_run_code_is_refused() -> None:
    content = state_file(OrderedDict(weight=_Named(f"{os.name}.system")), np.zeros(6))
    with pytest.raises(pickle.UnpicklingError, match=r"unexpected posix.system"):
        torch_weights.read_state(content)


def test_tensor_beyond_its_storage_is_refused() -> None:
    content = state_file(OrderedDict(weight=_Tensor(4, (3,), (1,))), np.zeros(6))
    with pytest.raises(ValueError, match="expected 3 values, found 2"):
        torch_weights.read_state(content)


def test_mosaic_keeps_one_colour_of_each_pixel() -> None:
    image = np.random.default_rng(0).uniform(0.1, 1, (3, 4, 6)).astype(np.float32)
    found = demosaicnet.mosaic(image)
    letters = np.array(list("RGB"))[found.argmax(0)]
    assert ["".join(row) for row in letters] == ["GRGRGR", "BGBGBG"] * 2
    assert ((found != 0).sum(0) == 1).all()
    np.testing.assert_array_equal(found[found != 0], image[found != 0])


def test_demosaicked_tiles_are_side_by_side() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (75, 110, 3), np.uint8)
    mosaics, whole = demosaicnet.pairs([Image.fromarray(pixels)], tile=96)
    assert mosaics.shape == (6, 3, 96, 96)
    assert whole.shape == (6, 3, 34, 34)
    expected = pixels[34:68, 34:68].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_allclose(whole[4], expected, rtol=1e-6)
    flat = demosaicnet.pairs([Image.new("RGB", (34, 34), (51, 102, 204))], tile=96)
    np.testing.assert_allclose(demosaicnet.bilinear(flat.mosaic), flat.whole, rtol=1e-6)


def test_pages_follow_the_seed_and_face_all_ways() -> None:
    images, labels = orientation.pages(8, seed=3)
    again, same = orientation.pages(8, seed=3)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    assert images.shape == (8, 3, orientation.SIZE, orientation.SIZE)
    assert images.dtype == np.float32
    assert sorted(labels) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert not np.array_equal(images, orientation.pages(8, seed=4)[0])
    # Text is dark on bright paper: lines make rows differ more than columns, or the other way round.
    grey = images.mean(1)
    rows, columns = (grey.mean(axis).std(1) for axis in (2, 1))
    upright = labels % 2 == 0
    assert (rows > columns)[upright].mean() > (rows > columns)[~upright].mean()


def test_pages_are_turned_clockwise() -> None:
    page = Image.new("RGB", (256, 300))
    page.paste((255, 255, 255), (0, 0, 256, 150))  # the upper half
    bright = [np.argwhere(orientation.pixels(page, angle)[0] > 0).mean(0) for angle in orientation.ANGLES]
    middle = (orientation.SIZE - 1) / 2
    towards = [(round(y - middle), round(x - middle)) for y, x in bright]
    far = orientation.SIZE // 4
    assert towards == [(-far, 0), (0, far), (far, 0), (0, -far)]


def picture(kind: str, size: tuple[int, int] = (200, 240), mode: str = "RGB") -> bytes:
    """An image of random colours in a format; where it has an alpha channel, half of it is transparent."""
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], len(mode)), np.uint8)
    if mode == "RGBA":
        pixels[..., 3] = 255
        pixels[: size[1] // 2, :, 3] = 0
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def test_photos_are_found_in_resource_files(tmp_path: Path) -> None:
    lessons, backdrops = tmp_path / "rcc", tmp_path / "backdrops"
    (backdrops / "Nature").mkdir(parents=True)
    lessons.mkdir()
    drawing, icon = picture("WEBP", mode="RGBA"), picture("JPEG", size=(64, 64))
    cut_off = picture("WEBP")[:100]
    stream = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(stream, "JPEG")
    parts = [b"qres", picture("WEBP"), drawing, icon, stream.getvalue(), picture("JPEG"), b"names", cut_off]
    (lessons / "animals.rcc").write_bytes(b"\0\1".join(parts))
    (backdrops / "Nature" / "beach.jpg").write_bytes(picture("JPEG", size=(480, 360)))
    found = efficientnet_lite0.unlabelled_photos(lessons, backdrops)
    assert [(photo.mode, photo.size) for photo in found] == [("RGB", (256, 256))] * 3
    assert efficientnet_lite0.centres(found).shape == (3, 3, 224, 224)
    with pytest.raises(FileNotFoundError, match="install Debian's scratch"):
        efficientnet_lite0.unlabelled_photos(lessons, tmp_path / "none")
