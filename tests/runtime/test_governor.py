"""The governor: simulated load on a fake clock, then a real session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anysize
import inn_runtime as inn
import numpy as np
import pytest
from inn_runtime.governor import LatencyPolicy
from inn_runtime.noise import noise

COSTS = (1.0, 2.0, 4.0, 6.0, 8.0)
TARGET = 10.0


def simulate(
    policy: LatencyPolicy | None, load: Callable[[float], float], calls: int = 6000, seed: int = 0
) -> tuple[np.ndarray, list[int]]:
    """Latencies of calls one after another, and the level of each.

    A level costs its cost in ms, times the load at that moment, times noise; a move takes 20 calls' time.
    """
    random = np.random.default_rng(seed)
    now, level, arrives, wanted = 0.0, len(COSTS) - 1, 0, None
    latencies, levels = [], []
    for call in range(calls):
        if wanted is not None and call >= arrives:
            assert policy is not None
            level = wanted
            policy.moved(level, now)
            wanted = None
        ms = COSTS[level] * load(now) * float(random.lognormal(0, 0.08))
        now += ms / 1e3
        latencies.append(ms)
        levels.append(level)
        if policy is not None and wanted is None:
            wanted = policy.observe(ms, now)
            arrives = call + 20
    return np.array(latencies), levels


def steps(now: float) -> float:
    """Load that jumps every five seconds, up to thrice the idle one."""
    return (1.0, 2.2, 1.2, 3.0, 1.0)[int(now / 5) % 5]


def test_holds_the_95th_percentile_where_a_fixed_size_does_not() -> None:
    fixed, _ = simulate(None, steps)
    governed, levels = simulate(LatencyPolicy(COSTS, 4, TARGET), steps)
    assert np.quantile(fixed, 0.95) > 2 * TARGET
    assert np.quantile(governed, 0.95) <= TARGET
    assert max(levels) == 4  # it does not buy that by staying small
    assert np.mean(levels) > 2


def test_returns_to_the_largest_size_when_the_load_has_gone() -> None:
    _, levels = simulate(LatencyPolicy(COSTS, 4, TARGET), lambda now: 2.5 if now < 3 else 0.8)
    assert min(levels) < 4
    assert levels[-1] == 4


def test_does_not_swing_between_two_sizes() -> None:
    """At this load level 2 keeps the target and level 3 never does."""
    _, levels = simulate(LatencyPolicy(COSTS, 4, TARGET), lambda now: 1.9, calls=8000)
    assert set(levels[1000:]) <= {2, 3}
    assert sum(a != b for a, b in zip(levels[1000:], levels[1001:])) <= 4


def test_waits_longer_after_each_step_up_that_fails() -> None:
    policy = LatencyPolicy(COSTS, 2, TARGET, headroom=1.0)
    now, rises = 0.0, []
    while now < 100:
        now += 0.01
        level = policy.observe(6.0 if policy.level == 2 else 11.0, now)
        if level is not None:
            if level > policy.level:
                rises.append(now)
            policy.moved(level, now)
    waits = np.diff(rises)
    assert len(rises) > 3
    assert (waits[1:] >= waits[:-1] - 0.1).all()
    assert waits[2] > 3 * waits[0]


def test_goes_down_by_as_much_as_the_costs_suggest() -> None:
    policy = LatencyPolicy(COSTS, 4, TARGET)
    found = [policy.observe(30.0, index / 100) for index in range(4)]
    assert found == [None, None, None, 1]  # 3 of 60 are allowed; a quarter of the cost takes 7.5 ms


def test_stays_down_while_it_is_not_allowed_more() -> None:
    policy = LatencyPolicy(COSTS, 4, TARGET)
    assert policy.observe(1.0, 0.0, highest=1) == 1
    policy.moved(1, 0.0)
    assert all(policy.observe(1.0, float(i), highest=1) is None for i in range(200))
    assert policy.observe(1.0, 200.0, highest=4) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_ms": 0}, "target_ms: expected a positive number, found 0"),
        ({"target_ms": float("nan")}, "target_ms: expected a positive number, found nan"),
        ({"quantile": 1}, "quantile: expected a number between 0 and 1"),
        ({"window": 1}, "window: expected at least 2"),
        ({"hold": -1}, "hold: expected seconds"),
        ({"sizes": ["huge"]}, "size 'huge': expected a number"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with anysize.write(tmp_path / "a.inn").resample(1.0).session() as session:
        with pytest.raises(inn.UsageError) as caught:
            inn.Governor(session, **{"target_ms": 1.0, **options})
        assert message in str(caught.value)


def test_governs_a_session_while_four_threads_call(tmp_path: Path) -> None:
    """A clock that runs fast until the size is small: the governor must get there, and answers stay right."""
    bundle = anysize.write(tmp_path / "a.inn")
    images = noise(1, (2, 2, 5, 4))
    references = []
    for size in (0.25, 0.5, 1.0):
        with bundle.resample(size).session() as session:
            references.append(session.run(images))
    problems: list[str] = []
    with bundle.resample(1.0).session() as session:
        governor = inn.Governor(session, 5.0, sizes=[0.25, 0.5, 1.0])

        def call() -> None:
            for _ in range(300):
                scores = session.run(images)
                if not any(np.array_equal(scores, reference) for reference in references):
                    problems.append("an answer of no size")
                governor.observe(20 * governor.size)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        governor.close()
        assert not problems
        assert governor.size == 0.25
        assert governor.moves >= 1


def test_asks_its_limit(tmp_path: Path) -> None:
    hot = [False]
    now = [0.0]
    with anysize.write(tmp_path / "a.inn").resample(1.0).session() as session:
        governor = inn.Governor(
            session, 1e6, sizes=[0.25, 1.0], limit=lambda: 0.25 if hot[0] else 1.0, clock=lambda: now[0]
        )
        for hot[0], expected in ((False, 1.0), (True, 0.25), (False, 1.0)):
            for _ in range(100):
                now[0] += 1.5
                governor.observe(1.0)
                governor.close()
            assert governor.size == expected


def test_a_failed_move_leaves_the_session_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with anysize.write(tmp_path / "a.inn").resample(1.0).session() as session:
        governor = inn.Governor(session, 5.0, sizes=[0.5, 1.0])

        def fail(size: object) -> None:
            raise inn.EngineError("no memory")

        session.resize = fail  # type: ignore[method-assign]
        for _ in range(10):
            governor.observe(50.0)
            governor.close()
        assert (governor.size, governor.moves) == (1.0, 0)
        assert "the governor stays at size 1: no memory" in caplog.text
