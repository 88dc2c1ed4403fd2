"""What may be chosen, and what is chosen where nothing is said. The command line shows it, and must not load
what exports for that."""

from __future__ import annotations

EFFORTS = ("fast", "refit", "distill")
ORDERS = ("nested", "smooth", "l1", "given")
ORDERS_OF = {
    "calibrated": ORDERS,
    "trapezoid": ("smooth", "given"),
    "rescaled": ("l1", "nested"),
    "none": ("l1", "nested"),
}
"""Orders that go with each quadrature, the default first."""
OBJECTIVES = {"uniform": 1, "flops": 8, "params": 1, "latency": 8}
"""What widths may be chosen for, and what they are then multiples of unless the user says otherwise."""
STORAGES = ("float32", "float16", "int8")
"""Of control grids; calibration data may also be int1 to int6."""
PRESETS = {"tiny": 0.25, "small": 0.5, "medium": 0.7, "large": 0.85, "full": 1.0}

FEWEST_IMAGES = 16
"""Fewer images leave most quadratures undetermined; 64 lose 1 to 2 points at half width, 256 are enough."""
IMAGES = 256
LARGEST_REFIT = 0.7
"""Larger sizes gain less from refitted kernels, and these must be stored."""
SPAN_STEPS = 20
"""Of L-BFGS, see `spans`."""
DISTILL_IMAGES = 150_000
"""Images seen, with repetition, all sizes together."""
