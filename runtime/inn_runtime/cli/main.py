"""Parsing arguments, running a command, turning errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InnError, UsageError
from ..files import refuse_overwriting
from ..version import __version__
from . import commands

ENTRY_POINTS = "inn.commands"

DESCRIPTION = "One file that becomes a neural network of any width, on this device."
EXAMPLES = """\
examples:
  inn info model.inn
  inn resample model.inn --size small -o small.ms
  inn resample model.inn --max-ms 8 -o model.ms
  inn run model.inn --size 0.5 --input images.npy
  inn bench model.inn --threads 1,2

exit codes: 0 done, 1 failed at run time (engine, disk), 2 wrong arguments or files"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `inn` command.

    Returns
    -------
    0 done, 1 failed at run time (engine, disk), 2 the user's mistake (arguments, file)
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = next((a for a in arguments if not a.startswith("-")), None)
    name = f"inn {command}" if command else "inn"
    if hasattr(sys.stdout, "reconfigure"):  # a name that the terminal cannot show must not end in a traceback
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _run(command, arguments)
    except InnError as error:
        return _fail(name, str(error), error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        _discard_output()
        return 0
    except OSError as error:
        _discard_output()
        return _fail(name, f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except MemoryError:
        return _fail(name, "out of memory", 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _run(command: str | None, arguments: Sequence[str]) -> None:
    try:
        options = _parser(command).parse_args(arguments)
        _check_outputs(options)
        options.run(options)
    finally:  # also where the parser exits after its help: a broken pipe shows now, or too late
        sys.stdout.flush()


OUTPUTS = ("output", "plot")
"""Options that name files to write; all other paths are read."""


def _check_outputs(options: argparse.Namespace) -> None:
    """Nobody's model is to be lost to a slip in ``-o``."""
    given = vars(options)
    read = [value for name, value in given.items() if name not in OUTPUTS]
    read += [entry for value in read if isinstance(value, list) for entry in value]
    for name in OUTPUTS:
        if isinstance(given.get(name), Path):
            refuse_overwriting(given[name], [value for value in read if isinstance(value, Path)])


def _fail(name: str, message: str, code: int) -> int:
    """Print an error on one line, whatever a file name or a library put into it.

    Only a list, whose entries the exporter indents by two blanks, takes more.
    """
    lines = [
        "".join(c if c.isprintable() else " " if c == "\n" else ascii(c)[1:-1] for c in line)
        for line in message.split("\n  ")
    ]
    print(f"{name}: error: " + "\n  ".join(lines), file=sys.stderr)
    return code


def _discard_output() -> None:
    """What Python still holds of the output would fail again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="inn",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"innlite {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    commands.register(subparsers)
    if command not in subparsers.choices:
        _register_plugins(subparsers, command)
    return parser


def _register_plugins(subparsers: Any, command: str | None) -> None:
    """Add other packages' commands. They load much more than the runtime, so only where one may be meant.

    Raises
    ------
    UsageError : ``command`` is one of them, but what it needs is not installed
    """
    found: Any = entry_points()
    # Python 3.9 returns a mapping, later versions a selectable list.
    points = found.select(group=ENTRY_POINTS) if hasattr(found, "select") else found.get(ENTRY_POINTS, ())
    plugins = {point.name: point for point in points}
    for name in [command] if command in plugins else sorted(plugins):
        try:
            plugins[name].load()(subparsers)
        except ImportError as error:  # a device has the runtime alone: it simply lacks the command
            if name == command:
                raise UsageError(f"needs the exporter: pip install 'innlite[export]' ({error})") from None
