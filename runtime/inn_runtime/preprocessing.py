"""From an image file's pixels to a network's input (docs/reference/bundle-format.md, *Preprocessing*)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import UsageError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes an input: (resized and cropped pixel / scale - mean) / std.

    Attributes
    ----------
    size : height and width of the input
    crop : share of the image's shorter side that the input shows, from its centre
    scale : what pixels, 0 to 255, are divided by
    mean, std : per channel, or one for all
    layout : ``NCHW``
    """

    size: tuple[int, int]
    crop: float = 1.0
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "NCHW"

    @classmethod
    def parse(cls, values: Mapping[str, Any], shape: tuple[int, ...]) -> Preprocessing:
        """From a bundle's ``preprocessing``, for an input of ``shape`` (1, channels, height, width).

        Raises
        ------
        UsageError : names the field
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise UsageError(f"preprocess: expected fields {', '.join(known)}, found {name!r}")
        if len(shape) != 4 or shape[1] not in (1, 3):
            raise UsageError(f"preprocess: images need an input of 1 or 3 channels, found shape {shape}")
        size = tuple(values.get("size", shape[2:]))
        if size != shape[2:]:
            raise UsageError(f"preprocess: size: expected {list(shape[2:])}, found {list(size)}")
        if values.get("layout", "NCHW") != "NCHW":
            raise UsageError(f"preprocess: layout: expected 'NCHW', found {values['layout']!r}")
        numbers: dict[str, Any] = {}
        for name, count in (("crop", 1), ("scale", 1), ("mean", shape[1]), ("std", shape[1])):
            if name not in values:
                continue
            given = values[name] if isinstance(values[name], (list, tuple)) else [values[name]]
            if len(given) not in (1, count) or not all(_is_number(v) for v in given):
                raise UsageError(f"preprocess: {name}: expected {count} number(s), found {values[name]!r}")
            if name != "mean" and min(given) <= 0:
                raise UsageError(f"preprocess: {name}: expected more than 0, found {values[name]!r}")
            numbers[name] = float(given[0]) if count == 1 and name in ("crop", "scale") else tuple(given)
        if numbers.get("crop", 1.0) > 1:
            raise UsageError(f"preprocess: crop: expected at most 1, found {numbers['crop']:g}")
        return cls(size, **numbers)

    def __call__(self, image: Image.Image, channels: int) -> npt.NDArray[np.float32]:
        """(channels, height, width), float32."""
        from PIL import Image

        image = image.convert("L" if channels == 1 else "RGB")
        height, width = self.size
        share = self.crop * min(image.height / height, image.width / width)
        left, top = (image.width - share * width) / 2, (image.height - share * height) / 2
        box = (left, top, left + share * width, top + share * height)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box), np.float32)
        values = pixels.reshape(height, width, channels) / np.float32(self.scale)
        normal = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
