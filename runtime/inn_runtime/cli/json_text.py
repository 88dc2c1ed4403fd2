"""What ``--json`` prints: always JSON, which knows neither NaN nor infinity."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(document: Any, indent: int | None = 1) -> str:
    """A document as JSON; numbers that are not finite become null."""
    return json.dumps(_plain(document), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
