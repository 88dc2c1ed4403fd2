"""Options: what is refused, and that a bundle says all that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inn_exporter
import inn_runtime as inn
import numpy as np
import pytest
from places import RESNET20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": (0.5, 1.5)}, r"sizes: expected numbers in \(0, 1\], found 1.5"),
        ({"storage": "int3"}, "storage: expected one of float32, float16, int8"),
        ({"quadrature": "magic"}, "quadrature: expected one of"),
        ({"quadrature": "trapezoid", "order": "nested"}, "order: expected smooth or given for trapezoid"),
        ({"quadrature": "none", "order": "smooth"}, "order: expected l1 or nested for none"),
        ({"effort": "none"}, "effort: expected one of"),
        ({"align": 0}, "align: expected at least 1, found 0"),
        ({"optimise": "speed"}, "optimise: expected one of uniform, flops, params, latency, found 'speed'"),
        ({"optimise": "params", "quadrature": "trapezoid"}, "optimise: params needs calibrated quadrature"),
        ({"optimise": "flops", "quadrature": "none"}, "found none"),
        ({"limit": 3.0}, "limit: only distill can be cut short, found effort 'refit'"),
        ({"limit": 0.0, "effort": "distill"}, "limit: expected minutes above 0, found 0.0"),
        ({"limit": float("nan"), "effort": "distill"}, "limit: expected minutes above 0, found nan"),
        ({"images": 3}, "images: expected at least 16"),
        ({"keep": ["*"]}, "no channel group can be resized"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((20, 1, 28, 28))
    with pytest.raises(inn.UsageError, match=message):
        inn_exporter.export(RESNET20, tmp_path / "a.inn", data, **changes)
