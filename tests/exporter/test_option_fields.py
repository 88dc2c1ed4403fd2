"""Options as fields: each once on the command line, and back from what a bundle says."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from inn_exporter.cli import export_command, tune_command
from inn_exporter.option_fields import add_arguments, as_text, check, from_text, given, option, specs
from inn_exporter.options import Options
from inn_exporter.training.options import Tuning
from inn_runtime import UsageError


@dataclass(frozen=True)
class Cooking:
    """Options of a kind that needs no exporter."""

    minutes: int = option(5, "how long", read=int, least=1)
    heat: float | None = option(None, "how hot", read=float, flag="--degrees")
    salted: bool = option(False, "with salt", read=None)
    pans: tuple[str, ...] = option((), "which", repeated=True)
    cook: str = option("anyone", "who", recorded=False)


@pytest.mark.parametrize("command", [export_command, tune_command])
def test_every_option_is_on_the_command_line_once(command: Callable[..., None]) -> None:
    subparsers = argparse.ArgumentParser().add_subparsers()
    command(subparsers)
    (parser,) = subparsers.choices.values()
    flags = [flag for action in parser._actions for flag in action.option_strings]
    assert len(flags) == len(set(flags))
    for options in (Options, Tuning):
        for found, spec in specs(options):
            flag = spec.flag or f"--{found.name.replace('_', '-')}"
            (action,) = (action for action in parser._actions if flag in action.option_strings)
            assert (action.help == argparse.SUPPRESS) == (not spec.shown)
            assert tuple(action.choices or ()) == spec.choices


def test_what_is_not_said_is_not_in_the_namespace() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, Cooking)
    assert given(parser.parse_args([]), Cooking) == {}
    command = ["--degrees", "1.5", "--salted", "--pans", "a", "--pans", "b"]
    assert given(parser.parse_args(command), Cooking) == {"heat": 1.5, "salted": True, "pans": ("a", "b")}


def test_only_what_is_recorded_is_in_the_text() -> None:
    chosen = Cooking(7, 2.5, salted=True, pans=("a b", "it's"), cook="me")
    text = as_text(chosen)
    assert "me" not in text.split()
    (found,) = from_text([Cooking], text, "x.inn")
    assert Cooking(**found, cook="me") == chosen
    assert from_text([Cooking], as_text(Cooking()), "x.inn") == [{"minutes": 5}]


@pytest.mark.parametrize(
    "text", ["--spice 3", "--pans 'a", "--minutes many", "--minutes", "--min 3", "stray", "--help"]
)
def test_what_cannot_be_read_names_the_file(text: str) -> None:
    with pytest.raises(UsageError, match=r"^x\.inn: made with options that this version does not know: "):
        from_text([Cooking], text, "x.inn")


def test_too_small_numbers_are_refused() -> None:
    check(Cooking(1))
    with pytest.raises(UsageError, match="minutes: expected at least 1, found 0"):
        check(Cooking(0))
