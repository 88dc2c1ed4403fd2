"""Calibration: what each size has of its own, from unlabelled images."""
