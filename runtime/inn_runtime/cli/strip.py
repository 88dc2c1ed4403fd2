"""`inn strip`: a bundle without what a device does not need."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files import write_atomically
from ..format.strip import strip
from ..network import open_bundle
from .options import command, opened


def register(subparsers: Any) -> None:
    parser = command(
        subparsers, "strip", _strip, "write a smaller bundle, without what a device does not need"
    )
    parser.add_argument(
        "--min-size", type=float, default=0.0, metavar="SIZE", help="leave out smaller sizes (default: none)"
    )
    parser.add_argument(
        "--max-size",
        type=float,
        default=1.0,
        metavar="SIZE",
        help="leave out larger sizes, but for 1, whose weights all others are made of (default: none)",
    )
    parser.add_argument(
        "--keep-check", action="store_true", help="keep what inn verify checks the engine with"
    )
    parser.add_argument(
        "--keep-source", action="store_true", help="keep the source network (inn export-onnx)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="SMALL.inn", help="the bundle to write"
    )


def _strip(options: argparse.Namespace) -> None:
    bundle = opened(options)
    content = strip(
        bundle,
        options.min_size,
        options.max_size,
        keep_check=options.keep_check,
        keep_source=options.keep_source,
    )
    before = options.bundle.stat().st_size
    write_atomically(options.output, content)
    written = open_bundle(options.output, allow_primitives=options.allow_primitive)
    sizes = ", ".join(f"{size.size:g}" for size in written.manifest.sizes)
    print(f"{options.output}: {len(content) / 1e6:.2f} MB of {before / 1e6:.2f}, sizes {sizes}")
