"""Tuning that can be stopped and resumed: parameters, Adam's state and the step in one file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from inn_runtime import UsageError
from inn_runtime.errors import shown
from inn_runtime.files import write_atomically
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..backend import mindspore

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
        record = {"step": step, **self._identity}
        record["digest"] = _digest_of(record, arrays)
        write_atomically(self.path, save(arrays, {KEY: json.dumps(record)}))

    def read(self, state: Sequence[Any], steps: int) -> int:
        """Set parameters to what was stored; returns the step, 0 where there is no file.

        Nothing is set unless all of the file is good.

        Parameters
        ----------
        steps : how many the run has; no checkpoint can be of a later one

        Raises
        ------
        UsageError : not such a file, a damaged one, or one of another network or run
        """
        if not os.path.lexists(self.path):
            return 0
        record, found = self._content()
        for name, expected in self._identity.items():
            if record.get(name) != expected:
                raise UsageError(
                    f"{self.path}: the checkpoint of another run: {name}: expected {expected}, "
                    f"found {shown(record.get(name))}"
                )
        if record.pop("digest", None) != _digest_of(record, found):
            raise UsageError(f"{self.path}: the checkpoint is damaged: its digest does not match")
        step = record.get("step")
        if type(step) is not int or not 0 <= step <= steps:
            raise UsageError(f"{self.path}: step: expected an integer from 0 to {steps}, found {shown(step)}")
        for parameter in state:
            self._check(parameter, found.get(parameter.name))
        for parameter in state:
            # Not `tensor`, which makes Adam's scalars vectors of one element.
            parameter.set_data(mindspore().Tensor(found[parameter.name]))
        return step

    def _content(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The record and the arrays of the file, whatever they are."""
        if not self.path.is_file():  # reading a pipe would wait for its writer
            raise UsageError(f"{self.path}: not a tuning checkpoint (no file)")
        try:
            with cast(Any, safe_open(self.path, "np")) as file:
                record = json.loads((file.metadata() or {})[KEY])
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"{self.path}: not a tuning checkpoint ({shown(str(error))[1:-1]})") from None
        if not isinstance(record, dict):
            raise UsageError(f"{self.path}: not a tuning checkpoint (its record is {shown(record)})")
        return record, found

    def _check(self, parameter: Any, values: np.ndarray | None) -> None:
        expected = np.dtype(parameter.asnumpy().dtype), tuple(parameter.shape)
        found = None if values is None else (values.dtype, values.shape)
        if values is None or found != expected:
            raise UsageError(
                f"{self.path}: {parameter.name}: expected {_described(expected)}, found {_described(found)}"
            )
        if not np.isfinite(values).all():
            raise UsageError(f"{self.path}: {parameter.name}: expected finite values, found others")


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names and values."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def _digest_of(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Of all that a checkpoint holds."""
    described = [(name, str(array.dtype), array.shape) for name, array in sorted(arrays.items())]
    text = json.dumps([dict(record), described], sort_keys=True)
    return hashlib.sha256((text + digest(arrays)).encode()).hexdigest()


def _described(found: tuple[Any, tuple[int, ...]] | None) -> str:
    return "nothing" if found is None else f"{found[0]} {found[1]}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
