"""Progress bars on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Bars = Callable[[str], Callable[[float], None]]
"""Starts a progress bar of a title; returns its update, which takes the share done."""


@contextmanager
def progress_bars(shown: bool) -> Iterator[Bars]:
    """Bars that are gone from memory with the context, and invisible unless ``shown``."""
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bars:

        def start(title: str) -> Callable[[float], None]:
            task = bars.add_task(title, total=1.0)

            def update(done: float) -> None:
                bars.update(task, completed=done)

            return update

        yield start
