"""Whether numbers are numbers, quickly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def all_finite(array: npt.NDArray[Any]) -> bool:
    """Whether no value is NaN or infinite.

    These stay in a sum, which takes less time than looking at each; a sum of large values may overflow.
    """
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum(dtype=np.float32)):
            return True
    return bool(np.isfinite(array).all())
