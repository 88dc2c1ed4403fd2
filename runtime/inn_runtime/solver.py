"""From a budget to the largest size that keeps it on this device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from .axes import round_width
from .budget import LOWER, UPPER, Budget, bound_text, value_text
from .device_profile import DeviceProfile
from .errors import UsageError
from .manifest import Manifest, Size, evaluate
from .plan import make_plan

if TYPE_CHECKING:
    from .bundle import Bundle

ANCHORS = (0.0, 0.25, 0.5, 1.0)
"""Where, along the candidates, a profile is begun; the fit between them says what to measure next."""

GUESSES = 6
"""Measurements that follow the fit; should it mislead for longer, halving ends the search."""


@dataclass
class Candidate:
    """A size that could be built.

    Attributes
    ----------
    size, name : the size, and its preset's name or itself as text
    values : bound's name → what is known of it; latency and memory only where they were measured
    breaks : names of the bounds that it breaks, as far as known
    """

    size: float
    name: str
    values: dict[str, float]
    breaks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """The size chosen, and every candidate with what was found out about it."""

    size: float
    candidates: list[Candidate]


def candidate_sizes(manifest: Manifest) -> list[float]:
    """The sizes worth asking for, increasing.

    A calibrated bundle has its own; otherwise the widest group decides: one size for each of its widths on
    the alignment grid, without those that change no group's width.
    """
    if manifest.is_calibrated:
        return [size.size for size in manifest.sizes]
    widest = max((group.axis.size for group in manifest.groups), default=1)
    found: dict[tuple[int, ...], float] = {manifest.full_widths: 1.0}
    for width in range(manifest.align, widest, manifest.align):
        size = width / widest
        found.setdefault(tuple(round_width(size, n, manifest.align) for n in manifest.full_widths), size)
    return sorted(found.values())


def choose(
    bundle: Bundle,
    budget: Budget,
    *,
    weights: str = "float32",
    threads: int = 1,
    engine: str = "auto",
    remeasure: bool = False,
) -> Choice:
    """The largest size within a budget.

    Latency and memory are measured where the device's profile does not hold them yet: a few sizes first,
    then those that a monotone fit proposes, until a size within the bound is known whose next larger one
    is not.

    Raises
    ------
    UsageError : no size keeps every bound; says which fails and the nearest that holds
    EngineError : MindSpore Lite is missing or failed
    """
    candidates = [_candidate(bundle, size) for size in candidate_sizes(bundle.manifest)]
    kept = _of_quality(candidates, budget, bundle.source)
    profile = None
    if budget.latency_ms or budget.memory_mb:
        profile = DeviceProfile(bundle, threads, engine, weights, remeasure)
    for name in UPPER:
        bound = budget.bounds.get(name)
        if bound is None:
            continue
        cost = _cost(bundle, name, weights, profile)
        if name in ("latency_ms", "memory_mb") and profile is not None:
            count = _within_measured(kept, name, bound, cost, profile)
        else:
            count = _within(kept, name, bound, cost)
        for candidate in kept[count:]:
            candidate.breaks.append(name)
        if count == 0:
            _refuse(kept[0], budget, name, bundle.source)
        kept = kept[:count]
    return Choice(kept[-1].size, candidates)


def _candidate(bundle: Bundle, size: float) -> Candidate:
    manifest = bundle.manifest
    plan = make_plan(manifest, size)
    values = {"flops": 2.0 * evaluate(manifest.macs, plan.widths)}
    # Between two sizes of the curve, the smaller one's figure is the safe one.
    measured: Size | None = max(
        (s for s in manifest.sizes if s.size <= size), key=lambda s: s.size, default=None
    )
    if measured is not None:
        values.update({name: measured.measured[name] for name in LOWER if name in measured.measured})
    return Candidate(size, plan.preset or f"{size:g}", values)


def _of_quality(candidates: list[Candidate], budget: Budget, source: str) -> list[Candidate]:
    kept = candidates
    for name in LOWER:
        bound = budget.bounds.get(name)
        if bound is None:
            continue
        known = [candidate.values[name] for candidate in candidates if name in candidate.values]
        if not known:
            hint = "; export with --evaluate" if name == "accuracy" else ""
            raise UsageError(
                f"{source}: {bound_text(name, bound)}: the bundle holds no measured {name}{hint}"
            )
        for candidate in candidates:
            if candidate.values.get(name, 0.0) < bound:
                candidate.breaks.append(name)
        if bound > max(known):
            raise UsageError(
                f"{source}: no size keeps {bound_text(name, bound)}: the best has {max(known):.4g}"
            )
        kept = [candidate for candidate in kept if name not in candidate.breaks]
    if not kept:
        raise UsageError(f"{source}: no size keeps {budget}: none has both accuracy and agreement")
    return kept


def _cost(
    bundle: Bundle, name: str, weights: str, profile: DeviceProfile | None
) -> Callable[[Candidate], float]:
    def cost(candidate: Candidate) -> float:
        if name not in candidate.values:
            if name == "model_mb" or profile is None:
                value = bundle.resample(candidate.size, weights=weights).model_bytes / 1e6
            else:
                value = profile.measure(name, candidate.size)
            candidate.values[name] = value
        return candidate.values[name]

    return cost


def _within(
    candidates: Sequence[Candidate], name: str, bound: float, cost: Callable[[Candidate], float]
) -> int:
    """How many of the first candidates keep a bound on what grows with the size."""
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if cost(candidates[middle]) <= bound:
            low = middle + 1
        else:
            high = middle
    return low


def _within_measured(
    candidates: Sequence[Candidate],
    name: str,
    bound: float,
    cost: Callable[[Candidate], float],
    profile: DeviceProfile,
) -> int:
    """Like `_within`, for costs that take time to measure: few are, where a fit expects the bound."""
    last = len(candidates) - 1
    if cost(candidates[last]) <= bound:  # the case where nothing is left to find
        return last + 1
    sizes = [candidate.size for candidate in candidates]
    flops = [candidate.values["flops"] for candidate in candidates]
    for candidate in candidates:  # those of the profile cost nothing
        if candidate.size in profile.known(name):
            cost(candidate)
    if len([size for size in sizes if size in profile.known(name)]) < len(ANCHORS):
        for share in ANCHORS:
            cost(candidates[round(share * last)])
    guesses = 0
    while True:
        known = [index for index, candidate in enumerate(candidates) if name in candidate.values]
        low = max((i for i in known if cost(candidates[i]) <= bound), default=-1)
        high = min((i for i in known if i > low), default=last + 1)
        if high - low == 1:
            if high > last:
                return high
            # Something else may have held the device up: what ends the search is measured twice.
            candidates[high].values[name] = profile.measure(name, candidates[high].size, times=2)
            if candidates[high].values[name] > bound:
                return high
            continue
        middle = (low + high) // 2
        if guesses < GUESSES:
            expected = profile.predict(name, flops, sizes)
            likely = max((i for i in range(len(sizes)) if expected[i] <= bound), default=0)
            # Either side of the bound gets its turn: both are needed to be sure.
            middle = min(max(likely + guesses % 2, low + 1), high - 1)
        guesses += 1
        cost(candidates[middle])


def _refuse(smallest: Candidate, budget: Budget, name: str, source: str) -> NoReturn:
    """Say which bound fails at the smallest size that keeps the others so far, and what would hold."""
    bound = budget.bounds[name]
    others = [bound_text(n, b) for n, b in budget.bounds.items() if n in LOWER and n not in smallest.breaks]
    where = f"the smallest size with {' and '.join(others)}" if others else "the smallest size"
    raise UsageError(
        f"{source}: no size keeps {budget}: {where}, {smallest.size:g}, has {name} "
        f"{value_text(name, smallest.values[name])}, which is the nearest bound that holds "
        f"(asked: {value_text(name, bound)})"
    )
