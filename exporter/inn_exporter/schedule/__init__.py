"""Which channel group shrinks how much."""
