"""Options as fields of dataclasses: each is defined once, with its default, its bounds and its help.

The command line is made from the fields, and so is what a bundle says about how it was made: the options of a
command that makes it again.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Callable, NoReturn

from inn_runtime import UsageError

_KEY = "option"


@dataclass(frozen=True)
class Spec:
    """What is known of an option besides its name and default.

    Attributes
    ----------
    help : for people; the default is added to it
    read, write : text of the command line → value, None: a switch; and the other way
    choices : the values that it may have
    least : the least number that it may be
    metavar : what the command line calls the value
    flag : of the command line, where that is not the option's name
    repeated : it may be given several times; ``collect`` makes one value of all
    recorded : whether a bundle says it: not where the result depends on the machine
    shown : in the command line's help
    """

    help: str
    read: Callable[[str], Any] | None
    write: Callable[[Any], str]
    choices: tuple[str, ...]
    least: float | None
    metavar: str | None
    flag: str | None
    repeated: bool
    collect: Callable[[Iterable[Any]], Any]
    recorded: bool
    shown: bool


def option(
    default: Any,
    help: str,
    *,
    read: Callable[[str], Any] | None = str,
    write: Callable[[Any], str] = str,
    choices: Collection[str] = (),
    least: float | None = None,
    metavar: str | None = None,
    flag: str | None = None,
    repeated: bool = False,
    collect: Callable[[Iterable[Any]], Any] = tuple,
    recorded: bool = True,
    shown: bool = True,
) -> Any:
    """A field of a dataclass that is an option; see `Spec`."""
    spec = Spec(help, read, write, tuple(choices), least, metavar, flag, repeated, collect, recorded, shown)
    if callable(default):
        return field(default_factory=default, metadata={_KEY: spec})
    return field(default=default, metadata={_KEY: spec})


def specs(options: Any) -> Iterator[tuple[Field[Any], Spec]]:
    """The options among the fields of a dataclass or of an instance."""
    for found in fields(options):
        if _KEY in found.metadata:
            yield found, found.metadata[_KEY]


def check(options: Any) -> None:
    """Whether all values are among their choices and not too small; None is always allowed.

    Raises
    ------
    UsageError : names the option, what was expected and what was found
    """
    for found, spec in specs(options):
        value = getattr(options, found.name)
        if value is None:
            continue
        if spec.choices and value not in spec.choices:
            expected = ", ".join(spec.choices)
            raise UsageError(f"{found.name}: expected one of {expected}, found {value!r}")
        if spec.least is not None and not value >= spec.least:
            raise UsageError(f"{found.name}: expected at least {spec.least:g}, found {value}")


def described(options: type[Any]) -> str:
    """A line for each option, for a docstring."""
    return "\n".join(f"    {found.name} : {spec.help}" for found, spec in specs(options))


# ---------------------------------------------------------------------- the command line
def add_arguments(parser: Any, options: type[Any], only: Sequence[str] = (), recorded: bool = False) -> None:
    """An argument for each option, or those that are recorded; absent ones leave nothing in the namespace."""
    for found, spec in specs(options):
        if (only and found.name not in only) or (recorded and not spec.recorded):
            continue
        flag = _flag(found, spec)
        help_text = spec.help.replace("%", "%%") + _default(found) if spec.shown else argparse.SUPPRESS
        common = {"dest": _place(found, spec), "default": argparse.SUPPRESS}
        if spec.read is None:
            parser.add_argument(flag, action="store_true", help=help_text, **common)
            continue
        parser.add_argument(
            flag,
            type=spec.read if spec.read in (int, float) else str,
            choices=spec.choices or None,
            metavar=None if spec.choices else spec.metavar,
            action="append" if spec.repeated else "store",
            help=help_text,
            **common,
        )


def given(namespace: argparse.Namespace, options: type[Any]) -> dict[str, Any]:
    """The options that a command line names.

    Raises
    ------
    UsageError : a value that cannot be read
    """
    result = {}
    for found, spec in specs(options):
        if not hasattr(namespace, _place(found, spec)):
            continue
        value = getattr(namespace, _place(found, spec))
        try:
            if spec.repeated:
                value = spec.collect([spec.read(text) if spec.read else text for text in value])
            elif spec.read is not None:  # int and float were read already, which does no harm
                value = spec.read(value)
        except ValueError as error:
            raise UsageError(f"{_flag(found, spec)}: expected {error}, found {value!r}") from None
        result[found.name] = value
    return result


def _flag(found: Field[Any], spec: Spec) -> str:
    return spec.flag or f"--{found.name.replace('_', '-')}"


def _place(found: Field[Any], spec: Spec) -> str:
    """Where a namespace holds it."""
    return _flag(found, spec)[2:].replace("-", "_")


def _default(found: Field[Any]) -> str:
    value = found.default
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return ""
    shown = f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else value
    return f" (default: {shown})"


# ---------------------------------------------------------------------- what a bundle says
def as_text(options: Any) -> str:
    """The options that are recorded, as a command line."""
    words: list[str] = []
    for found, spec in specs(options):
        value = getattr(options, found.name)
        if not spec.recorded or value is None or value is False:
            continue
        parts = value.items() if isinstance(value, Mapping) else value if spec.repeated else [value]
        for part in parts:
            words.append(_flag(found, spec) + ("" if spec.read is None else f"={spec.write(part)}"))
    return shlex.join(words)


def from_text(options: Sequence[type[Any]], text: str, source: str) -> list[dict[str, Any]]:
    """What `as_text` wrote of each dataclass.

    Raises
    ------
    UsageError : an option that this version does not know, or would not take from a file
    """
    parser = _Quiet(source)
    for each in options:
        add_arguments(parser, each, recorded=True)
    try:
        words = shlex.split(text)
    except ValueError as error:
        parser.error(str(error))
    found = parser.parse_args(words)
    return [given(found, each) for each in options]


class _Quiet(argparse.ArgumentParser):
    """Raises instead of ending the process."""

    def __init__(self, source: str) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        self._source = source

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self._source}: made with options that this version does not know: {message}")
