"""Reading untrusted JSON: every access checks type and range and names the field that is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .errors import BundleError

MAX_TEXT = 1 << 16
MAX_NUMBER = 3.4028234663852886e38
"""Every number must fit float32, which is what the engine reads."""


class Field:
    """A value of a JSON document together with the path that led to it."""

    def __init__(self, value: Any, path: str, source: str) -> None:
        self.value = value
        self.path = path
        self.source = source

    def fail(self, expected: str) -> BundleError:
        """The error to raise: names the file, the field, what was expected and what was found."""
        found = ascii(self.value)
        if len(found) > 60:
            found = found[:57] + "..."
        return BundleError(f"{self.source}: manifest field {self.path}: expected {expected}, found {found}")

    def __getitem__(self, key: str) -> Field:
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        if key not in self.value:
            raise BundleError(f"{self.source}: manifest field {self.path}.{key} is missing")
        return Field(self.value[key], f"{self.path}.{key}", self.source)

    def get(self, key: str) -> Field | None:
        """The member ``key``, or None where it is absent or null."""
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        return self[key] if self.value.get(key) is not None else None

    def list(self, length: int | None = None) -> list[Field]:
        if not isinstance(self.value, list):
            raise self.fail("a list")
        if length is not None and len(self.value) != length:
            raise BundleError(
                f"{self.source}: manifest field {self.path}: expected {length} entries, "
                f"found {len(self.value)}"
            )
        return [Field(v, f"{self.path}[{i}]", self.source) for i, v in enumerate(self.value)]

    def members(self) -> Iterator[tuple[str, Field]]:
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        for key, value in self.value.items():
            # A key is anybody's text; a message is one line.
            shown = key if key.isprintable() else ascii(key)
            member = Field(value, f"{self.path}.{shown}", self.source)
            member._check_text(key)
            yield key, member

    def text(self) -> str:
        if not isinstance(self.value, str) or len(self.value) > MAX_TEXT:
            raise self.fail("a text")
        self._check_text(self.value)
        return self.value

    def _check_text(self, text: str) -> None:
        """JSON can spell half a surrogate pair, which no file can hold and no terminal show."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BundleError(
                f"{self.source}: manifest field {self.path}: expected Unicode text, found {ascii(text)[:60]}"
            ) from None

    def choice(self, options: tuple[str, ...]) -> str:
        if self.value not in options or not isinstance(self.value, str):
            raise self.fail("one of " + ", ".join(options))
        return self.value

    def integer(self, low: int, high: int) -> int:
        if type(self.value) is not int or not low <= self.value <= high:
            raise self.fail(f"an integer from {low} to {high}")
        return self.value

    def number(self, low: float = -math.inf, high: float = math.inf) -> float:
        # Not math.isfinite: it fails where an integer exceeds the largest float.
        if type(self.value) not in (int, float) or not abs(self.value) <= MAX_NUMBER:
            raise self.fail("a finite number")
        if not low <= self.value <= high:
            raise self.fail(f"a number from {low:g} to {high:g}")
        return float(self.value)

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.fail("true or false")
        return self.value
