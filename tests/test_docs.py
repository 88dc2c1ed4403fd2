"""Pages point to what is there: links, anchors of headings, and paths in code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "device_demo" / "README.md",
    *sorted(DOCS.rglob("*.md")),
]
FOLDERS = "benchmarks|device_demo|docs|examples|exporter|runtime|scripts|tests"
"""At the root: words in code that begin with one of these are paths."""

FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^()\s]+)\)|<img[^>]*\bsrc=\"([^\"]+)\"")
PATH = re.compile(rf"(?<![\w./…-])(?:{FOLDERS})/[\w./*-]*(?![\w…{{])")
MODULE = re.compile(r"python3? -m ((?:benchmarks|tests|examples)(?:\.\w+)*)")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _links(text: str) -> Iterator[str]:
    """Targets of links and images, without those to other sites."""
    prose = INLINE.sub("", FENCED.sub("", text))
    for match in LINK.finditer(prose):
        target = match[1] or match[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def _anchors(text: str) -> set[str]:
    """What headings are called in links, as GitHub does it."""
    found: dict[str, int] = {}
    result = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", FENCED.sub("", text), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        count = found[slug] = found.get(slug, -1) + 1
        result.add(f"{slug}-{count}" if count else slug)
    return result


def _code(text: str) -> Iterator[str]:
    """Blocks of code, and code in the middle of a text."""
    yield from FENCED.findall(text)
    prose = FENCED.sub("", text)
    yield from INDENTED.findall(prose)
    yield from INLINE.findall(prose)


def _paths(text: str) -> Iterator[str]:
    """Paths from the root that code names, modules that are run among them."""
    for code in _code(text):
        modules = (module.replace(".", "/") for module in MODULE.findall(code))
        for path in (*PATH.findall(code), *modules):
            if not re.search(r"[A-Z]{4}", path):  # NAME: to be filled in
                yield path.rstrip(".")


def _exists(path: str) -> bool:
    """Whether a path, a pattern or a module is there."""
    if "*" in path:
        return any(ROOT.glob(path))
    return (ROOT / path).exists() or (ROOT / f"{path}.py").is_file()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    text, wrong = page.read_text(encoding="utf-8"), []
    for target in _links(text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            wrong.append(f"{target}: no such file")
        elif anchor and anchor not in _anchors(file.read_text(encoding="utf-8")):
            wrong.append(f"{target}: no such heading")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_paths_in_code_exist(page: Path) -> None:
    wrong = {path for path in _paths(page.read_text(encoding="utf-8")) if not _exists(path)}
    assert not wrong, "\n".join(sorted(wrong))


def test_every_page_is_listed() -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / target.partition("#")[0]).resolve() for target in _links(index.read_text("utf-8"))}
    indices = {index, DOCS / "notebook" / "README.md"}
    notebook = indices | {page for page in DOCS.rglob("*.md") if page.parent.name == "notebook"}
    assert not {_name(page) for page in DOCS.rglob("*.md") if page not in notebook and page not in listed}


def test_what_is_wrong_is_noticed() -> None:
    text = "# A `b` (c)\n\n[x](no.md#y) `tests/no.py` `docs/NAME.md`\n\n    python -m tests.no\n\n# A b c\n"
    assert list(_links(text)) == ["no.md#y"]
    assert _anchors(text) == {"a-b-c", "a-b-c-1"}
    assert [path for path in _paths(text) if not _exists(path)] == ["tests/no", "tests/no.py"]
