"""Parsing arguments, running a command, turning errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Callable

from .. import __version__
from ..errors import InnError
from . import commands

ENTRY_POINTS = "inn.commands"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `inn` command.

    Returns
    -------
    0 done, 1 failed at run time (engine, disk), 2 the user's mistake (arguments, file)
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except InnError as error:
        print(f"inn {options.command}: error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print(f"inn {options.command}: error: out of memory", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inn", description="One file that becomes a neural network of any width, on this device."
    )
    parser.add_argument("--version", action="version", version=f"innlite {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.register(subparsers)
    for register in _plugins():
        register(subparsers)
    return parser


def _plugins() -> list[Callable[[Any], None]]:
    """Other packages' commands."""
    found: Any = entry_points()
    # Python 3.9 returns a mapping, later versions a selectable list.
    points = found.select(group=ENTRY_POINTS) if hasattr(found, "select") else found.get(ENTRY_POINTS, ())
    return [point.load() for point in sorted(points, key=lambda p: str(p.name))]
