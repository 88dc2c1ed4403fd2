"""Who may use what: an engine's threads, locks and connections do not survive a fork."""

from __future__ import annotations

import os

from ..errors import UsageError


class Owner:
    """The process that made an object; a forked process has a copy of it that would wait for ever."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is the process."""
        return os.getpid() == self._process

    def check(self, what: str) -> None:
        """UsageError in a forked process. To be called before any lock is taken: it may be held for ever."""
        if not self.is_here:
            raise UsageError(f"a forked process cannot use its parent's {what}: make one of its own")


_first_build: Owner | None = None


def note_build() -> None:
    """Say that the engine has started threads in this process."""
    global _first_build
    if _first_build is None:
        _first_build = Owner()


def built_in_parent() -> bool:
    """Whether the engine in this process is the forked copy of one whose threads are gone."""
    return _first_build is not None and not _first_build.is_here
