"""MindSpore Lite through the vendor's own Python package, for versions that the C interface does not know.

Run with the package's version 2.0.0 under CPython 3.7, the only one it was made for. Later versions are
not on the Python package index and were not run; of their interface only what 2.0.0 has is used.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EngineError, UsageError
from .checks import check_inputs, check_shapes, check_threads, model_bytes
from .forks import Owner
from .interface import Array, Buffer, NodeTime, TensorSpec


class VendorEngine:
    """MindSpore Lite through ``import mindspore_lite``.

    Raises
    ------
    EngineError : the package is missing or cannot be loaded, or MindSpore is in this process already
    """

    name = "vendor"

    def __init__(self) -> None:
        if "mindspore" in sys.modules:
            raise EngineError("MindSpore is loaded, and mindspore_lite cannot share a process with it")
        os.environ.setdefault("GLOG_v", "4")  # read while the package loads, and again by its plugin
        try:
            import mindspore_lite
        except (ImportError, OSError) as error:
            raise EngineError(f"the vendor's package mindspore_lite cannot be imported: {error}") from error
        self._package: Any = mindspore_lite

    @property
    def version(self) -> str:
        return str(self._package.__version__)

    def build(self, model: Buffer, threads: int = 1) -> VendorModel:
        return VendorModel(self._package, model, check_threads(threads))


class VendorModel:
    """A model of `VendorEngine`."""

    def __init__(self, package: Any, model: Buffer, threads: int) -> None:
        context = package.Context()
        context.target = ["cpu"]
        context.cpu.thread_num = threads
        self._model: Any = package.Model()
        self._lock = threading.Lock()
        self._owner = Owner()
        with tempfile.TemporaryDirectory(prefix="innlite-") as folder:  # the package reads files only
            path = Path(folder, "model.ms")
            path.write_bytes(model_bytes(model).tobytes())
            try:
                self._model.build_from_file(str(path), package.ModelType.MINDIR_LITE, context)
            except RuntimeError as error:
                raise EngineError(f"MindSpore Lite: {error}") from error
        self._inputs = tuple(_spec(tensor) for tensor in self._model.get_inputs())
        self._outputs: tuple[TensorSpec, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self._owner.check("session")
        with self._lock:
            self._check_open()
            arrays = check_inputs(self._inputs, inputs)
            try:
                tensors = self._model.get_inputs()
                for tensor, array in zip(tensors, arrays):
                    tensor.set_data_from_numpy(np.ascontiguousarray(array))
                outputs = self._model.predict(tensors)
            except RuntimeError as error:
                raise EngineError(f"MindSpore Lite: {error}") from error
            self._outputs = tuple(_spec(tensor) for tensor in outputs)
            return {
                spec.name: tensor.get_data_to_numpy().copy() for spec, tensor in zip(self._outputs, outputs)
            }

    def profile(self, inputs: Mapping[str, Array]) -> list[NodeTime]:
        raise EngineError("the vendor's package times no nodes: use the engine 'native' or 'worker'")

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._owner.check("session")
        with self._lock:
            self._check_open()
            checked = check_shapes(self._inputs, shapes)
            try:
                self._model.resize(self._model.get_inputs(), [list(shape) for shape in checked])
            except RuntimeError as error:
                raise EngineError(f"MindSpore Lite: {error}") from error
            finally:
                self._inputs = tuple(_spec(tensor) for tensor in self._model.get_inputs())
                self._outputs = ()

    def close(self) -> None:
        if self._owner.is_here:
            with self._lock:
                self._model = None

    def _check_open(self) -> None:
        if self._model is None:
            raise UsageError("the model is closed")


def _spec(tensor: Any) -> TensorSpec:
    try:
        dtype = np.dtype(tensor.dtype.name.lower())
    except TypeError:
        raise EngineError(f"tensor {tensor.name!r}: MindSpore's {tensor.dtype} is not supported") from None
    return TensorSpec(tensor.name, tuple(tensor.shape), dtype)
