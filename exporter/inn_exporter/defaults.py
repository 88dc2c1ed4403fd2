"""Defaults that the command line shows: it must not load what exports for that."""

LARGEST_REFIT = 0.7
"""Larger sizes gain less from refitted kernels, and these must be stored."""
SPAN_STEPS = 20
"""Of L-BFGS, see `spans`."""
DISTILL_IMAGES = 150_000
"""Images seen, with repetition, all sizes together."""
