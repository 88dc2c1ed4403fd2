"""PyTorch's state dicts in the format before 1.6, read without PyTorch and without running code."""

from __future__ import annotations

import collections
import io
import pickle
from typing import Any, NamedTuple

import numpy as np


def read_state(content: bytes) -> dict[str, np.ndarray]:
    """Name → tensor, from a file of four pickles, the storages' keys, the storages."""
    stream = io.BytesIO(content)
    _, _, _, state, keys = (_StateUnpickler(stream).load() for _ in range(5))
    state = state.get("state_dict", state)  # of a checkpoint
    kinds = {tensor.key: tensor.kind for tensor in state.values()}
    storages = {}
    for key in keys:
        length = int.from_bytes(stream.read(8), "little")
        kind = np.dtype(kinds[key])
        storages[key] = np.frombuffer(stream.read(length * kind.itemsize), kind)
    return {name: tensor.read(storages[tensor.key]) for name, tensor in state.items()}


class _StoredTensor(NamedTuple):
    key: str
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, storage: np.ndarray) -> np.ndarray:
        reach = 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides))
        part = storage[self.offset : self.offset + reach]
        if len(part) != reach:
            raise ValueError(f"storage {self.key}: expected {reach} values, found {len(part)}")
        steps = [step * storage.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(part, self.shape, steps)


class _StateUnpickler(pickle.Unpickler):
    """Knows tensors and nothing else, so that no code runs, whatever the file says."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch", "FloatStorage"): "<f4",
            ("torch.cuda", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"unexpected {module}.{name}")
        return known[module, name]

    def persistent_load(self, identity: Any) -> Any:
        _, kind, key, *_ = identity
        return key, kind

    @staticmethod
    def _tensor(storage: tuple[str, str], offset: int, shape: Any, strides: Any, *_: Any) -> _StoredTensor:
        return _StoredTensor(*storage, offset, tuple(shape), tuple(strides))
