"""Measuring a bundle at a size, and other models beside it."""
