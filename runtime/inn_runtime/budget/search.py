"""From a budget to the largest size that keeps it, whoever tells what sizes cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..format.manifest import Manifest
from ..sampling.plan import make_plan, round_width
from .budget import BOUNDS, LOWER, UPPER, Budget, bound_text, image_flops, value_text

ANCHORS = (0.0, 0.25, 0.5, 1.0)
"""Where, along the candidates, measuring begins; the fit between them says what to measure next."""

GUESSES = 6
"""Measurements that follow the fit; should it mislead for longer, halving ends the search."""


class Costs(Protocol):
    """What sizes cost on a device, by the name of what is measured there; `DeviceProfile` keeps it."""

    def known(self, name: str) -> Collection[float]:
        """The sizes measured so far."""
        ...

    def measure(self, name: str, size: float, times: int = 1) -> float:
        """The cost of a size, measured at least so many times in all: as known, or now."""
        ...


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

    def value(self, name: str, find: Callable[[float], float]) -> float:
        """What is known of a bound's name, or is found out now from the size."""
        if name not in self.values:
            self.values[name] = find(self.size)
        return self.values[name]


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


def search(manifest: Manifest, budget: Budget, costs: Costs, source: str, weights: str = "float32") -> Choice:
    """The largest size within a budget.

    What is measured is asked for where ``costs`` does not know it yet: a few sizes first, then those that a
    monotone fit proposes, until a size within the bound is known whose next larger one is not.

    Parameters
    ----------
    costs : what sizes cost on the device, asked only for the bounds that are measured
    source : the bundle's name, used in messages
    weights : type of the weights in the `.ms` model, which its size depends on

    Raises
    ------
    UsageError : no size keeps every bound; says which fails and the nearest that holds
    """
    candidates = [_candidate(manifest, size) for size in candidate_sizes(manifest)]
    kept = _of_quality(candidates, budget, source)
    for name in UPPER:
        bound = budget.bounds.get(name)
        if bound is None:
            continue
        count = _keeping(kept, name, bound, manifest, costs, weights)
        for candidate in kept[count:]:
            candidate.breaks.append(name)
        if count == 0:
            _refuse(kept[0], budget, name, source)
        kept = kept[:count]
    return Choice(kept[-1].size, candidates)


def _candidate(manifest: Manifest, size: float) -> Candidate:
    """A size with what is known of it without any effort."""
    plan = make_plan(manifest, size)
    values = {
        name: bound.compute(manifest, plan, "float32")
        for name, bound in BOUNDS.items()
        if bound.compute is not None and bound.at_once
    }
    # Between two sizes of the curve, the smaller one's figure is the safe one.
    below = [entry for entry in manifest.sizes if entry.size <= size]
    if below:
        measured = below[-1].measured
        values.update({name: measured[name] for name in LOWER if name in measured})
    return Candidate(size, plan.preset or f"{size:g}", values)


def _of_quality(candidates: list[Candidate], budget: Budget, source: str) -> list[Candidate]:
    kept = candidates
    for name in LOWER:
        bound = budget.bounds.get(name)
        if bound is None:
            continue
        known = [candidate.values[name] for candidate in candidates if name in candidate.values]
        if not known:
            raise UsageError(
                f"{source}: {bound_text(name, bound)}: the bundle holds no measured {name}{BOUNDS[name].hint}"
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
        raise UsageError(f"{source}: no size keeps {budget}: none has both {' and '.join(LOWER)}")
    return kept


def _keeping(
    candidates: Sequence[Candidate], name: str, bound: float, manifest: Manifest, costs: Costs, weights: str
) -> int:
    """How many of the first candidates keep an upper bound."""
    compute = BOUNDS[name].compute
    if compute is None:
        work = [image_flops(manifest, make_plan(manifest, candidate.size)) for candidate in candidates]
        return _within_measured(candidates, name, bound, costs, work)

    def cost(size: float) -> float:
        return compute(manifest, make_plan(manifest, size), weights)

    return _within(candidates, name, bound, cost)


def _within(
    candidates: Sequence[Candidate], name: str, bound: float, compute: Callable[[float], float]
) -> int:
    """How many of the first candidates keep a bound on what grows with the size."""
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if candidates[middle].value(name, compute) <= bound:
            low = middle + 1
        else:
            high = middle
    return low


def _within_measured(
    candidates: Sequence[Candidate], name: str, bound: float, costs: Costs, work: Sequence[float]
) -> int:
    """Like `_within`, for costs that take time to measure: few are, where a fit expects the bound.

    The fit is monotone in those found, and linear in between by ``work``, the candidates' FLOPs.
    """

    def cost(candidate: Candidate) -> float:
        return candidate.value(name, lambda size: costs.measure(name, size))

    last = len(candidates) - 1
    if cost(candidates[last]) <= bound:  # the case where nothing is left to find
        return last + 1
    known = costs.known(name)  # these cost nothing
    for candidate in candidates:
        if candidate.size in known:
            cost(candidate)
    if sum(name in candidate.values for candidate in candidates) < len(ANCHORS):
        for share in ANCHORS:
            cost(candidates[round(share * last)])
    guesses = 0
    while True:
        found = [index for index, candidate in enumerate(candidates) if name in candidate.values]
        low = max((i for i in found if cost(candidates[i]) <= bound), default=-1)
        high = min((i for i in found if i > low), default=last + 1)
        if high - low == 1:
            if high > last:
                return high
            # Something else may have held the device up: what ends the search is measured twice.
            candidates[high].values[name] = costs.measure(name, candidates[high].size, times=2)
            if candidates[high].values[name] > bound:
                return high
            continue
        middle = (low + high) // 2
        if guesses < GUESSES:
            x, y = zip(*sorted((work[i], cost(candidates[i])) for i in found))
            expected = np.interp(work, x, monotone(y))
            likely = max((i for i, value in enumerate(expected) if value <= bound), default=0)
            # Either side of the bound gets its turn: both are needed to be sure.
            middle = min(max(likely + guesses % 2, low + 1), high - 1)
        guesses += 1
        cost(candidates[middle])


def monotone(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """The non-decreasing sequence nearest to ``values`` in squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while blocks and blocks[-1][0] >= mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    return np.concatenate([np.full(count, mean) for mean, count in blocks])


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
