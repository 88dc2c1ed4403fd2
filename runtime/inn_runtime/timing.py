"""How long a session's runs take."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .session import Session


def timed(
    session: Session, inputs: Any, least: int = 1, most: float = math.inf, seconds: float = 0.0
) -> npt.NDArray[np.float64]:
    """Milliseconds of each run: of ``least``, and of others that start within ``seconds``, up to ``most`` in
    all."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or (len(times) < most and time.perf_counter() < end):
        start = time.perf_counter()
        session.run(inputs)
        times.append((time.perf_counter() - start) * 1e3)
    return np.array(times)
