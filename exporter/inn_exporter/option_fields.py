"""Options as fields of dataclasses: each is defined once, with its default, its bounds and its help.

The command line is made from the fields, and so is what a bundle says about how it was made.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Callable

from inn_runtime import UsageError

_KEY = "option"


@dataclass(frozen=True)
class Spec:
    """What is known of an option besides its name and default.

    Attributes
    ----------
    help : for people; the default is added to it
    read : text of the command line → value; None: a switch
    choices : the values that it may have
    least : the least number that it may be
    metavar : what the command line calls the value
    flag : of the command line, where that is not the option's name
    repeated : it may be given several times; ``collect`` makes one value of all
    recorded : whether a bundle says it: not where the result depends on the machine
    shown : on the command line
    """

    help: str
    read: Callable[[str], Any] | None
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
    spec = Spec(help, read, tuple(choices), least, metavar, flag, repeated, collect, recorded, shown)
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
def add_arguments(parser: Any, options: type[Any], only: Sequence[str] = ()) -> None:
    """An argument for each option; absent ones leave nothing in the namespace."""
    for found, spec in specs(options):
        if not spec.shown or (only and found.name not in only):
            continue
        flag, help_text = _flag(found, spec), spec.help.replace("%", "%%")
        common = {"dest": found.name, "default": argparse.SUPPRESS}
        if spec.read is None:
            parser.add_argument(flag, action="store_true", help=help_text, **common)
            continue
        parser.add_argument(
            flag,
            type=spec.read if spec.read in (int, float) else str,
            choices=spec.choices or None,
            metavar=None if spec.choices else spec.metavar,
            action="append" if spec.repeated else "store",
            help=help_text + _default(found),
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
        if not spec.shown or not hasattr(namespace, found.name):
            continue
        value = getattr(namespace, found.name)
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


def _default(found: Field[Any]) -> str:
    value = found.default
    if not isinstance(value, (int, float, str)):
        return ""
    shown = f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else value
    return f" (default: {shown})"


# ---------------------------------------------------------------------- what a bundle says
def as_json(options: Any) -> str:
    """The options that are recorded."""
    values = {f.name: getattr(options, f.name) for f, spec in specs(options) if spec.recorded}
    return json.dumps(values, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return {f.name: getattr(value, f.name) for f in fields(value)}  # options of their own


def from_json(options: type[Any], text: str, source: str) -> dict[str, Any]:
    """What `as_json` wrote.

    Raises
    ------
    UsageError : an option that this version does not know
    """
    known = {f.name: f for f, _ in specs(options)}
    values = json.loads(text)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"{source}: made with an option that this version does not have: {unknown[0]!r}")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
