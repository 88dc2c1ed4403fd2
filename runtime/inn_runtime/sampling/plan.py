"""From the user's dial to the width of every channel group."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import UsageError, shown
from ..format.manifest import Manifest, Size

LARGEST = 1.5
"""Beyond the full size, where there are functions to sample more densely."""


@dataclass(frozen=True)
class Plan:
    """The widths that a requested size resolves to.

    Attributes
    ----------
    size : the size that will be built
    requested : the size that was asked for; larger than ``size`` where the calibrated quadratures of
        the next calibrated size below are used
    preset : the preset's name, if the request is one
    widths : the width of every group
    calibrated : the bundle's data for this size, None where the quadrature rule alone applies
    """

    size: float
    requested: float
    preset: str | None
    widths: tuple[int, ...]
    calibrated: Size | None


def make_plan(manifest: Manifest, size: float | str) -> Plan:
    """Resolve a preset's name or a number in (0, 1].

    Where the bundle is calibrated, a size between two calibrated ones takes the one below: it is never
    slower or larger than what was asked for. Bundles that integrate by a rule take any size, and those
    whose axes are all interpolated also sizes up to `LARGEST`.

    Raises
    ------
    UsageError : unknown preset, not a number, or outside the bundle's range
    """
    requested = parse_size(manifest, size)
    preset = next((name for name, value in manifest.presets.items() if value == requested), None)
    smallest = manifest.sizes[0].size
    if manifest.is_calibrated and requested < smallest:
        raise UsageError(f"size {requested:g}: the smallest size of this bundle is {smallest:g}")
    if manifest.is_calibrated or requested == 1.0:
        entry = max((s for s in manifest.sizes if s.size <= requested), key=lambda s: s.size)
        return Plan(entry.size, requested, preset, entry.widths, entry)
    widths = tuple(round_width(requested, group.axis.size, manifest.align) for group in manifest.groups)
    exact = next((s for s in manifest.sizes if s.size == requested), None)
    return Plan(requested, requested, preset, widths, exact)


def parse_size(manifest: Manifest, size: float | str) -> float:
    """A preset's name, or a number (also as text), as a size in (0, 1], or to `LARGEST` where that can be."""
    if isinstance(size, str) and size in manifest.presets:
        return manifest.presets[size]
    try:
        value = float(size)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    interpolates = all(group.axis.kernel != "selection" for group in manifest.groups)
    most = LARGEST if interpolates and not manifest.is_calibrated else 1.0
    if not 0.0 < value <= most:
        presets = ", ".join(f"{name} ({value:g})" for name, value in manifest.presets.items())
        raise UsageError(f"size {shown(size)}: expected a number in (0, {most:g}] or one of {presets}")
    return value


def round_width(size: float, full: int, align: int) -> int:
    """Width of a group of ``full`` channels at ``size``: half up to ``align``, at least one unit.

    Up to size 1 no wider than ``full``.
    """
    width = max(1, math.floor(size * full / align + 0.5)) * align
    return min(full, width) if size <= 1 else width
