"""What several commands have in common: arguments, and a bundle's network at the size that they name."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..network import Bundle, Model, open_bundle
from ..sampling.ms_writer import WEIGHT_TYPES

ENGINES = ("auto", "native", "worker", "vendor")
SIZE_HELP = "a preset's name or a number in (0, 1]"


def command(subparsers: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    description = f"{help_text[0].upper()}{help_text[1:]}."
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text, description=description)
    parser.add_argument("bundle", type=Path, metavar="MODEL.inn", help="the bundle")
    primitive_option(parser)
    parser.set_defaults(run=run)
    return parser


def primitive_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-primitive",
        type=_numbers,
        default=[],
        metavar="N[,N]",
        help="let through primitives of MindSpore Lite that there is no rule for",
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid int value: {text!r}") from None


def opened(options: argparse.Namespace) -> Bundle:
    """The bundle that a command names."""
    return open_bundle(options.bundle, allow_primitives=options.allow_primitive)


def engine_options(parser: argparse.ArgumentParser, threads: bool = True, guarded: bool = False) -> None:
    """``--threads`` and ``--engine``.

    Parameters
    ----------
    guarded : whether the engine has a process of its own unless the user says otherwise: for commands that
        people try on files of strangers
    """
    default = "worker" if guarded else "auto"
    if threads:
        parser.add_argument("--threads", type=int, default=1, metavar="N", help="engine threads (default: 1)")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=default,
        help="MindSpore Lite in this process (native), in one of its own (worker), or through the vendor's "
        f"Python package; auto is the first of these that can work (default: {default})",
    )


def weights_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        choices=WEIGHT_TYPES,
        default="float32",
        help="type of the weights in the .ms model (default: float32; float16 halves the file, the engine "
        "computes in float32 either way)",
    )


def preprocess_option(parser: argparse.ArgumentParser, effect: str) -> None:
    parser.add_argument(
        "--preprocess",
        metavar="JSON",
        help='how images become the input, a file or text: {"scale": 255, "mean": [0.485, …], "std": '
        f'[0.229, …], "crop": 0.875}}; {effect}',
    )


def preprocess_values(given: str | None) -> dict[str, Any] | None:
    """What ``--preprocess`` says: a JSON object, or the name of a file that holds one."""
    if given is None:
        return None
    text = given
    if not text.lstrip().startswith("{"):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--preprocess: cannot read {given}: {error}") from None
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--preprocess: expected JSON, found {given!r} ({error})") from None
    if not isinstance(values, dict):
        raise UsageError(f"--preprocess: expected a JSON object, found {given!r}")
    return values


def resampled(bundle: Bundle, size: str, strict: bool = False, weights: str = "float32") -> Model:
    """The network at a size; says so where that is not the size asked for, or not a good one."""
    model = bundle.resample(size.strip(), weights=weights)
    if model.size < model.plan.requested:
        print(
            f"size {model.plan.requested:g} is not calibrated; using {model.size:g}, the next below",
            file=sys.stderr,
        )
    if not model.is_safe:
        safe = bundle.manifest.curve["safe_from"]
        text = f"size {model.size:g}: the network was measured to collapse below size {safe:g} (inn info)"
        if strict:
            raise UsageError(text)
        print(f"warning: {text}", file=sys.stderr)
    return model
