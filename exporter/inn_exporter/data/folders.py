"""Folders of image files as network inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from inn_runtime.preprocessing import Preprocessing
from PIL import Image, UnidentifiedImageError

from ..errors import CalibrationDataError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def load_folder(folder: Path, preprocessing: Preprocessing, channels: int) -> np.ndarray:
    """All images of a folder and those below it, by name, (n, channels, height, width).

    Raises
    ------
    CalibrationDataError : no image, or a file that cannot be read as one
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise CalibrationDataError(f"{folder}: no image files here ({', '.join(sorted(SUFFIXES))})")
    result = np.empty((len(paths), channels, *preprocessing.size), np.float32)
    for index, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                result[index] = preprocessing(image, channels)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
            raise CalibrationDataError(f"{path}: not an image that can be read ({error})") from None
    return result
