"""Reading untrusted JSON: every access checks type and range and names the field that is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from ..errors import BundleError, shown

MAX_TEXT = 1 << 14
MAX_COUNT = 1 << 16
MAX_VALUES = 1 << 20
"""Of a document: it bounds the memory that reading takes."""
MAX_NUMBER = 3.4028234663852886e38
"""Every number must fit float32, which is what the engine reads."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What would break a line or steer a terminal, and halves of surrogate pairs, which no file can hold."""


class Field:
    """A value of a JSON document together with the path that led to it.

    Parameters
    ----------
    path : in words, or the field that holds this one and its index or ``.key`` there: most fields are good,
        and nobody needs the words
    """

    __slots__ = ("_path", "source", "value")

    def __init__(self, value: Any, path: str | tuple[Field, int | str], source: str) -> None:
        self.value = value
        self._path = path
        self.source = source

    @property
    def path(self) -> str:
        """Where the document has the value: ``manifest.sizes[0].widths``."""
        if isinstance(self._path, str):
            return self._path
        holder, key = self._path
        return f"{holder.path}[{key}]" if isinstance(key, int) else holder.path + key

    def fail(self, expected: str) -> BundleError:
        """The error to raise: names the file, the field, what was expected and what was found."""
        return BundleError(
            f"{self.source}: manifest field {self.path}: expected {expected}, found {shown(self.value)}"
        )

    def __getitem__(self, key: str) -> Field:
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        if key not in self.value:
            raise BundleError(f"{self.source}: manifest field {self.path}.{key} is missing")
        return Field(self.value[key], (self, f".{key}"), self.source)

    def get(self, key: str) -> Field | None:
        """The member ``key``, or None where it is absent or null."""
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        return self[key] if self.value.get(key) is not None else None

    def list(self, length: int | None = None) -> list[Field]:
        if not isinstance(self.value, list):
            raise self.fail("a list")
        if len(self.value) > MAX_COUNT:
            raise BundleError(
                f"{self.source}: manifest field {self.path}: expected at most {MAX_COUNT} entries, "
                f"found {len(self.value)}"
            )
        if length is not None and len(self.value) != length:
            raise BundleError(
                f"{self.source}: manifest field {self.path}: expected {length} entries, "
                f"found {len(self.value)}"
            )
        return [Field(v, (self, i), self.source) for i, v in enumerate(self.value)]

    def small_integers(self) -> tuple[tuple[tuple[int]], ...]:
        """A short list of integers of 32 bits, as constant expressions; nothing where it is anything else.

        Most lists are such: they need no fields for their entries.
        """
        value = self.value
        if type(value) is not list or len(value) > 8:
            return ()
        good = all(type(entry) is int and -0x80000000 <= entry <= 0x7FFFFFFF for entry in value)
        return tuple(((entry,),) for entry in value) if good else ()

    def members(self) -> Iterator[tuple[str, Field]]:
        if not isinstance(self.value, dict) or len(self.value) > MAX_COUNT:
            raise self.fail(f"an object of at most {MAX_COUNT} members")
        for key, value in self.value.items():
            Field(key, f"{self.path}: key", self.source).text()
            name = key if key.isprintable() and len(key) <= 100 else shown(key)
            yield key, Field(value, f"{self.path}.{name}", self.source)

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.fail("a text")
        if len(self.value) > MAX_TEXT or _UNPRINTABLE.search(self.value):
            raise self.fail(f"Unicode text without control characters, at most {MAX_TEXT} long")
        return self.value

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


def decode(text: str, source: str) -> object:
    """The document that a manifest's text holds: strictly JSON, each key once, every number finite.

    Raises
    ------
    BundleError : it is anything else
    """
    try:
        return load_json(text)
    except ValueError as error:
        raise BundleError(f"{source}: the manifest is not valid JSON ({error})") from None


def load_json(text: str) -> object:
    """A document: strictly JSON, each key once, every number finite.

    Raises
    ------
    ValueError : it is anything else, or of more than `MAX_VALUES`
    """

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise ValueError(f"the key {shown(key)} occurs twice")
            result[key] = value
        return result

    def finite(number: str) -> float:
        value = float(number)
        return refuse(shown(number)) if math.isinf(value) else value

    # Before anything is built: what stands in texts counts, too, but not much of that is punctuation.
    if sum(map(text.count, ",[{")) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite, object_pairs_hook=unique)
    except RecursionError as error:
        raise ValueError(str(error)) from None
