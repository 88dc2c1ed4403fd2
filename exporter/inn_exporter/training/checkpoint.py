"""Tuning that can be stopped and resumed: parameters, Adam's state and the step in one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from inn_runtime import UsageError
from inn_runtime.files import write_atomically
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..backend import tensor

KEY = "innlite.tuning"


class Checkpoint:
    """A file that holds the state after some step.

    Parameters
    ----------
    path : the file
    identity : what must be the same for a run to be resumed; a change is an error that names it
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self._identity = {name: _text(value) for name, value in identity.items()}

    def write(self, state: Sequence[Any], step: int) -> None:
        """Store parameters as they are after ``step`` steps."""
        arrays = {p.name: np.array(p.asnumpy(), order="C") for p in state}
        record = json.dumps({"step": step, **self._identity})
        write_atomically(self.path, save(arrays, {KEY: record}))

    def read(self, state: Sequence[Any]) -> int:
        """Set parameters to what was stored; returns the step, 0 where there is no file.

        Raises
        ------
        UsageError : not such a file, or one of another network or run
        """
        if not self.path.exists():
            return 0
        try:
            with safe_open(self.path, "np") as file:
                record = json.loads((file.metadata() or {})[KEY])
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UsageError(f"{self.path}: not a tuning checkpoint ({error})") from None
        for name, expected in self._identity.items():
            if record.get(name) != expected:
                raise UsageError(
                    f"{self.path}: the checkpoint of another run: {name}: expected {expected}, "
                    f"found {record.get(name)}"
                )
        for parameter in state:
            values = found.get(parameter.name)
            if values is None or values.shape != tuple(parameter.shape):
                shape = None if values is None else values.shape
                raise UsageError(
                    f"{self.path}: {parameter.name}: expected shape {tuple(parameter.shape)}, found {shape}"
                )
        for parameter in state:
            parameter.set_data(tensor(found[parameter.name]))
        return int(record["step"])


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names and values."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
