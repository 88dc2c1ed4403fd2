"""Keeping a latency under changing load, heat or battery by moving along the sizes."""

from __future__ import annotations

import collections
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InnError, UsageError
from .format.manifest import Manifest, evaluate
from .sampling.plan import make_plan

if TYPE_CHECKING:
    import numpy.typing as npt

    from .network import Model
    from .session import Inputs, Session

MOST_LEVELS = 8
"""Of a bundle that can be built at any size, as many sizes, evenly spaced."""

MOST_BACKOFF = 16
"""How much longer, at most, the governor waits after a larger size has proved too slow."""

_log = logging.getLogger(__name__)


class LatencyPolicy:
    """When to move, from the latencies seen; no clock and no engine of its own.

    Down as soon as more calls of the window missed the target than the quantile allows, by as many levels
    as the costs suggest. Up by one level once a whole window, for ``hold`` seconds, has been so fast that
    the next larger size is expected to keep ``headroom`` of the target. A step up that had to be taken back
    doubles the wait for the next.

    Parameters
    ----------
    costs : relative cost of every level, increasing
    level : where to start
    target : milliseconds that the ``quantile`` of the calls shall keep
    window : number of calls looked at
    hold : seconds before a step up
    headroom : share of the target that a larger size may be expected to need
    """

    def __init__(
        self,
        costs: Sequence[float],
        level: int,
        target: float,
        *,
        quantile: float = 0.95,
        window: int = 60,
        hold: float = 2.0,
        headroom: float = 0.8,
    ) -> None:
        checks = {
            "target_ms": (target, 0 < target < math.inf, "a positive number"),
            "quantile": (quantile, 0 < quantile < 1, "a number between 0 and 1"),
            "window": (window, window >= 2, "at least 2"),
            "hold": (hold, 0 <= hold < math.inf, "seconds"),
            "headroom": (headroom, 0 < headroom <= 1, "a number in (0, 1]"),
        }
        for name, (value, holds, expected) in checks.items():
            if not holds:
                raise UsageError(f"{name}: expected {expected}, found {value!r}")
        self.level = level
        self._costs = list(costs)
        self._target = target
        self._quantile = quantile
        self._hold = hold
        self._headroom = headroom
        self._allowed = (1 - quantile) * window
        self._seen: collections.deque[float] = collections.deque(maxlen=window)
        self._moved_at = -math.inf
        self._rose = False
        self._backoff = 1

    def observe(self, milliseconds: float, now: float, highest: int | None = None) -> int | None:
        """Take a call's latency into account.

        Parameters
        ----------
        now : seconds of any clock
        highest : the largest level allowed at present, None for any

        Returns
        -------
        The level to move to, None to stay.
        """
        self._seen.append(milliseconds)
        highest = len(self._costs) - 1 if highest is None else highest
        if self.level > highest:
            return highest
        if self.level > 0 and sum(ms > self._target for ms in self._seen) > self._allowed:
            return self._lower()
        full = len(self._seen) == self._seen.maxlen
        if full and self.level < highest and now - self._moved_at >= self._hold * self._backoff:
            factor = self._costs[self.level + 1] / self._costs[self.level]
            if self._typical() * factor <= self._target * self._headroom:
                return self.level + 1
        return None

    def moved(self, level: int, now: float) -> None:
        """The level in use has changed: what was seen before says nothing about it."""
        if level > self.level:
            self._rose = True
        elif level < self.level:
            too_soon = self._rose and now - self._moved_at < 2 * self._hold * self._backoff
            self._backoff = min(2 * self._backoff, MOST_BACKOFF) if too_soon else 1
            self._rose = False
        self.level = level
        self._moved_at = now
        self._seen.clear()

    def _typical(self) -> float:
        return float(np.quantile(self._seen, self._quantile))

    def _lower(self) -> int:
        """The largest level whose cost suggests that it keeps the target; at least one level down."""
        missed = [ms for ms in self._seen if ms > self._target]
        affordable = self._costs[self.level] * self._target * self._headroom / float(np.median(missed))
        return max((i for i in range(self.level) if self._costs[i] <= affordable), default=0)


class Governor:
    """Runs a session and keeps the quantile of its latency under a target by resizing it.

    A call's latency is what its caller waits, other callers included. Sizes change in a thread of the
    governor's own while calls go on; see `LatencyPolicy` for when.

        with inn.Governor(session, target_ms=12) as governor:
            scores = governor.run(images)

    Parameters
    ----------
    session : the session to run; it stays the caller's to close
    target_ms : milliseconds
    sizes : the sizes to move along, default: those of the bundle
    limit : asked at most once a second for the largest size allowed at present: a hook for temperature or
        battery
    options : ``quantile``, ``window``, ``hold``, ``headroom`` of `LatencyPolicy`
    clock : seconds, for tests

    Raises
    ------
    UsageError : a number is out of range, or a size is not in the bundle
    """

    def __init__(
        self,
        session: Session[Model],
        target_ms: float,
        *,
        sizes: Sequence[float | str] | None = None,
        limit: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        manifest = session.model.manifest
        self.sizes = _levels(manifest, sizes)
        self._session = session
        self._limit = limit
        self._clock = clock
        costs = [float(evaluate(manifest.macs, make_plan(manifest, size).widths)) for size in self.sizes]
        level = max((i for i, size in enumerate(self.sizes) if size <= session.model.size), default=0)
        self.policy = LatencyPolicy(costs, level, target_ms, **options)
        self.moves = 0
        self._lock = threading.Lock()
        self._mover: threading.Thread | None = None
        self._highest: int | None = None
        self._asked_at = -math.inf

    @property
    def size(self) -> float:
        """The size in use."""
        return self._session.model.size

    def run(
        self, inputs: Inputs, *, allow_nonfinite: bool = False
    ) -> npt.NDArray[np.float32] | dict[str, npt.NDArray[np.float32]]:
        """`Session.run`, timed. Same errors."""
        start = self._clock()
        outputs = self._session.run(inputs, allow_nonfinite=allow_nonfinite)
        self.observe(1e3 * (self._clock() - start))
        return outputs

    def observe(self, milliseconds: float) -> None:
        """Take a latency into account that was measured elsewhere."""
        with self._lock:
            if self._mover is not None:  # calls during a move tell of neither size
                return
            now = self._clock()
            if self._limit is not None and now - self._asked_at >= 1:
                self._asked_at = now
                largest = self._limit()
                self._highest = max((i for i, size in enumerate(self.sizes) if size <= largest), default=0)
            level = self.policy.observe(milliseconds, now, self._highest)
            if level is not None:
                self._mover = threading.Thread(target=self._move, args=(level,), daemon=True)
                self._mover.start()

    def _move(self, level: int) -> None:
        try:
            self._session.resize(self.sizes[level])
        except InnError as error:
            _log.warning("the governor stays at size %g: %s", self.size, error)
            level = self.policy.level
        with self._lock:
            self.moves += level != self.policy.level
            self.policy.moved(level, self._clock())
            self._mover = None

    def close(self) -> None:
        """Wait for a move that is under way."""
        mover = self._mover
        if mover is not None:
            mover.join()

    def __enter__(self) -> Governor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _levels(manifest: Manifest, sizes: Sequence[float | str] | None) -> list[float]:
    """The sizes to move along, increasing, each as it is built."""
    if sizes is None and manifest.is_calibrated:
        sizes = [size.size for size in manifest.sizes]
    elif sizes is None:
        sizes = [(index + 1) / MOST_LEVELS for index in range(MOST_LEVELS)]
    return sorted({make_plan(manifest, size).size for size in sizes})
