"""Pictures from strangers and from the samples folder."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import UsageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"})
MAX_UPLOAD_BYTES = 16 << 20
"""Of an uploaded file: more than any phone's camera writes."""
MAX_PIXELS = 64_000_000
MAX_SAMPLES = 60
THUMBNAIL = 320
"""Pixels of a sample's longer side on the page."""


class PictureError(UsageError):
    """The bytes are no picture that can be used."""


def decode(content: bytes) -> Image.Image:
    """The picture, upright, fully read.

    Raises
    ------
    PictureError : empty, of an unknown format, damaged, or too large to be decoded safely
    """
    formats = ", ".join(FORMATS)
    if not content:
        raise PictureError("the picture is empty")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        image.load()
        return ImageOps.exif_transpose(image)
    except Image.DecompressionBombError:
        raise PictureError(f"the picture has more than {MAX_PIXELS // 10**6} million pixels") from None
    except UnidentifiedImageError:
        raise PictureError(f"not a picture that can be read; expected {formats}") from None
    except Exception as error:  # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error …
        raise PictureError(f"the picture is damaged ({error})") from None


def find_samples(folder: Path) -> tuple[Path, ...]:
    """The first `MAX_SAMPLES` picture files of a folder, by name.

    Raises
    ------
    UsageError : no such folder, or no picture in it
    """
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise UsageError(f"--samples: {folder}: {error.strerror}") from None
    if not found:
        raise UsageError(f"--samples: {folder}: no pictures here ({', '.join(sorted(SUFFIXES))})")
    return tuple(found[:MAX_SAMPLES])


def read_sample(samples: Sequence[Path], index: int) -> Image.Image:
    """Sample number ``index``.

    Raises
    ------
    PictureError : there is none of this number, or its file can no longer be read
    """
    if not 0 <= index < len(samples):
        raise PictureError(f"there is no sample {index}; expected 0 to {len(samples) - 1}")
    try:
        with open(samples[index], "rb") as stream:
            content = stream.read(MAX_UPLOAD_BYTES)
    except OSError as error:
        raise PictureError(f"{samples[index].name}: {error.strerror}") from None
    return decode(content)


def thumbnail(image: Image.Image) -> bytes:
    """A PNG of at most `THUMBNAIL` pixels a side, without what else the file held."""
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    small.save(stream, format="PNG")
    return stream.getvalue()
