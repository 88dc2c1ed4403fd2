"""The errors a user may meet. Each message is one line: what was expected, what was found, where."""

from __future__ import annotations

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 100, 100


class InnError(Exception):
    """Base of every error this package raises on purpose; ``exit_code`` is what the CLI returns."""

    exit_code = 1


class UsageError(InnError, ValueError):
    """The caller's mistake: an argument, an input array, a size out of range."""

    exit_code = 2


class BundleError(InnError, ValueError):
    """The file is not a bundle, is damaged, or was written by a newer version."""

    exit_code = 2


class EngineError(InnError, RuntimeError):
    """MindSpore Lite is not available, refused a model or failed while running it."""


def shown(value: object) -> str:
    """Anybody's value in a message: on one line, and short however large the value is."""
    text = _SHORT.repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
