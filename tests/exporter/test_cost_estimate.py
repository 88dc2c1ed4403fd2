"""What is said of an export's cost before it starts; `test_pipeline.py` has what a limit does."""

from __future__ import annotations

from typing import Any

import pytest
from inn_exporter.cost_estimate import forecast


@pytest.mark.parametrize(
    ("arguments", "line", "seen"),
    [
        (("refit", "3 sizes", 30.0, 0.1, 5000, None), "refit: 3 sizes; less than a minute", 5000),
        (("fast", "3 sizes", 150.0, 0.1, 5000, None), "fast: 3 sizes; about 2 min", 5000),
        (
            ("distill", "3 sizes", 30.0, 0.1, 5000, None),
            "distill: 3 sizes, then 5,000 images seen, all sizes together; about 9 min",
            5000,
        ),
        (
            ("distill", "3 sizes", 30.0, 0.1, 5000, 2.0),
            "distill: 3 sizes, then 900 images seen, all sizes together; about 2 min "
            "(a limit of 2 min; 5,000 images: about 9 min)",
            900,
        ),
        (
            ("distill", "3 sizes", 300.0, 0.1, 5000, 2.0),
            "distill: 3 sizes, then 0 images seen, all sizes together; about 5 min "
            "(a limit of 2 min; 5,000 images: about 13 min)",
            0,
        ),
    ],
)
def test_what_will_be_done_and_how_long_that_takes(arguments: tuple[Any, ...], line: str, seen: int) -> None:
    assert forecast(*arguments) == (line, seen)
