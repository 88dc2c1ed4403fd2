"""Errors of the exporter; the user's mistakes are the runtime's `UsageError` (exit code 2)."""

from __future__ import annotations

from inn_runtime.errors import UsageError


class UnsupportedGraphError(UsageError):
    """The network holds operators that cannot be imported; the message lists every one of them."""


class CalibrationDataError(UsageError):
    """Calibration or evaluation data cannot belong to this network."""
