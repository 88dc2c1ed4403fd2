"""MindSpore Lite in this process, through the compiled C interface (``native/inn_engine.h``)."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ..errors import EngineError, UsageError
from . import build
from .checks import check_inputs, check_shapes, check_threads, model_bytes
from .elf import defect
from .forks import Owner, built_in_parent, note_build
from .interface import Array, Buffer, NodeTime, TensorSpec
from .library import Library, find_library

_ABI = 1  # INN_ENGINE_ABI of the header that the structure and the signatures below follow
_INPUTS, _OUTPUTS = 0, 1

# mindspore::DataType in the vendor's include/api/data_type.h
_DTYPES = {
    30: np.dtype(np.bool_),
    32: np.dtype(np.int8),
    33: np.dtype(np.int16),
    34: np.dtype(np.int32),
    35: np.dtype(np.int64),
    37: np.dtype(np.uint8),
    38: np.dtype(np.uint16),
    39: np.dtype(np.uint32),
    40: np.dtype(np.uint64),
    42: np.dtype(np.float16),
    43: np.dtype(np.float32),
    44: np.dtype(np.float64),
}


_Report = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_double)
"""``inn_node_report``"""


class _Tensor(ctypes.Structure):
    """``inn_tensor``"""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("rank", ctypes.c_size_t),
        ("dtype", ctypes.c_int32),
    )


class _Interface:
    """The functions of ``inn_engine.h``, with their signatures and with errors as exceptions."""

    def __init__(self, interface: ctypes.CDLL, version: str) -> None:
        self.version = version
        model, side, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
        signatures = {
            "inn_engine_abi": (ctypes.c_int32, ()),
            "inn_engine_last_error": (ctypes.c_char_p, ()),
            "inn_model_create": (model, (ctypes.c_void_p, size, ctypes.c_int32)),
            "inn_model_destroy": (None, (model,)),
            "inn_model_count": (size, (model, side)),
            "inn_model_describe": (ctypes.c_int32, (model, side, size, ctypes.POINTER(_Tensor))),
            "inn_model_data": (ctypes.c_void_p, (model, side, size, ctypes.POINTER(size))),
            "inn_model_resize": (ctypes.c_int32, (model, ctypes.POINTER(ctypes.c_int64))),
            "inn_model_run": (ctypes.c_int32, (model,)),
            "inn_model_profile": (ctypes.c_int32, (model, _Report, ctypes.c_void_p)),
        }
        for name, (result, arguments) in signatures.items():
            function = getattr(interface, name)
            function.restype, function.argtypes = result, arguments
        self.c = interface

    def error(self) -> EngineError:
        """The error that the calling thread's latest failed call left."""
        reason = self.c.inn_engine_last_error().decode(errors="replace")
        return EngineError(f"MindSpore Lite: {reason}; its log (GLOG_v=2 in the environment) says more")

    def specs(self, model: int, side: int) -> tuple[TensorSpec, ...]:
        return tuple(self._spec(model, side, index) for index in range(self.c.inn_model_count(model, side)))

    def _spec(self, model: int, side: int, index: int) -> TensorSpec:
        tensor = _Tensor()
        if self.c.inn_model_describe(model, side, index, ctypes.byref(tensor)) != 0:
            raise self.error()
        name = tensor.name.decode(errors="replace")
        dtype = _DTYPES.get(tensor.dtype)
        if dtype is None:
            raise EngineError(f"tensor {name!r}: MindSpore's data type {tensor.dtype} is not supported")
        return TensorSpec(name, tuple(tensor.shape[: tensor.rank]), dtype)

    def view(self, model: int, side: int, index: int, spec: TensorSpec) -> Array:
        """The engine's own memory of a tensor, as an array."""
        size = ctypes.c_size_t()
        address = self.c.inn_model_data(model, side, index, ctypes.byref(size))
        if not address:
            raise self.error()
        expected = int(np.prod(spec.shape, dtype=np.int64)) * spec.dtype.itemsize
        if size.value != expected:
            raise EngineError(f"tensor {spec.name!r}: expected {expected} bytes, the engine has {size.value}")
        memory = memoryview((ctypes.c_char * size.value).from_address(address))
        array: Array = np.frombuffer(memory, dtype=spec.dtype).reshape(spec.shape)
        return array


_load_lock = threading.Lock()


@functools.cache
def _load() -> _Interface:
    """Load MindSpore Lite and the interface to it, once per process."""
    library = find_library()
    # The engine logs to stderr. It looks its level up again long after loading, so the variable has to stay;
    # 4 is the only level at which a refused model prints nothing.
    os.environ.setdefault("GLOG_v", "4")
    try:
        # The libraries find each other by name among those already loaded: nobody has to set a path.
        with _float_environment_kept():
            for path in library.load_order():
                _open(path)
    except OSError as error:
        raise EngineError(f"MindSpore Lite in {library.folder} cannot be loaded: {error}") from error
    interface = _load_interface(library)
    loaded = _Interface(interface, library.version)
    abi = interface.inn_engine_abi()
    if abi != _ABI:
        raise EngineError(f"the engine's C interface: expected ABI {_ABI}, found {abi}")
    return loaded


@contextlib.contextmanager
def _float_environment_kept() -> Iterator[None]:
    """MindSpore Lite, compiled with -ffast-math, sets the thread that loads it to take subnormal numbers
    for zero. NumPy, and this process's own results, need them."""
    mathematics = ctypes.CDLL("libm.so.6")
    environment = ctypes.create_string_buffer(64)  # fenv_t has 32 bytes on x86-64, 8 on ARM64
    mathematics.fegetenv(environment)
    try:
        yield
    finally:
        mathematics.fesetenv(environment)


def _open(path: Path) -> ctypes.CDLL:
    """Load a library. OSError where it is none, or not whole."""
    wrong = defect(path)
    if wrong is not None:
        raise OSError(wrong)
    return ctypes.CDLL(str(path))


def _load_interface(library: Library) -> ctypes.CDLL:
    packaged = build.packaged(library)
    if packaged is not None:
        with contextlib.suppress(OSError):  # it may be made for a newer C library than this machine has
            return _open(packaged)
    try:
        return _open(build.cached(library))
    except OSError as error:
        raise EngineError(f"the engine's C interface cannot be loaded: {error}") from error


class NativeEngine:
    """MindSpore Lite in this process.

    Raises
    ------
    EngineError : MindSpore Lite cannot be had or loaded, or MindSpore is in this process already
    """

    name = "native"

    def __init__(self) -> None:
        if "mindspore" in sys.modules:
            raise EngineError(
                "MindSpore is loaded, and MindSpore Lite cannot share a process with it (both bring a "
                "libmindspore_core.so): use the engine 'worker'"
            )
        if built_in_parent():
            raise EngineError(
                "MindSpore Lite has run a model in the process that this one was forked from, and would wait "
                "for its threads: use the engine 'worker'"
            )
        with _load_lock:
            self._interface = _load()
        self._owner = Owner()

    @property
    def version(self) -> str:
        return self._interface.version

    def build(self, model: Buffer, threads: int = 1) -> NativeModel:
        if built_in_parent():
            self._owner.check("engine")
        return NativeModel(self._interface, model, check_threads(threads))


class NativeModel:
    """A model of `NativeEngine`."""

    def __init__(self, interface: _Interface, model: Buffer, threads: int) -> None:
        content = model_bytes(model)
        self._owner = Owner()
        note_build()
        handle = interface.c.inn_model_create(content.ctypes.data, content.nbytes, threads)
        if not handle:
            raise interface.error()
        self._interface = interface
        self._handle = handle
        self._free = weakref.finalize(self, _destroy, self._owner, interface, handle)
        self._free.atexit = False  # a daemon thread may still be running the model
        self._lock = threading.Lock()
        self._inputs = interface.specs(handle, _INPUTS)
        self._outputs = interface.specs(handle, _OUTPUTS)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        interface = self._interface
        self._owner.check("session")
        with self._lock:
            handle = self._open()
            self._fill(handle, inputs)
            if interface.c.inn_model_run(handle) != 0:
                raise interface.error()
            self._outputs = interface.specs(handle, _OUTPUTS)
            return {
                spec.name: interface.view(handle, _OUTPUTS, index, spec).copy()
                for index, spec in enumerate(self._outputs)
            }

    def profile(self, inputs: Mapping[str, Array]) -> list[NodeTime]:
        times: list[NodeTime] = []

        def report(user: int | None, name: bytes, kind: bytes, milliseconds: float) -> None:
            times.append(NodeTime(name.decode(errors="replace"), kind.decode(errors="replace"), milliseconds))

        self._owner.check("session")
        with self._lock:
            handle = self._open()
            self._fill(handle, inputs)
            if self._interface.c.inn_model_profile(handle, _Report(report), None) != 0:
                raise self._interface.error()
            self._outputs = self._interface.specs(handle, _OUTPUTS)
        return times

    def _fill(self, handle: int, inputs: Mapping[str, Array]) -> None:
        """Copy the inputs, of whatever strides, to where the engine reads them."""
        for index, (spec, array) in enumerate(zip(self._inputs, check_inputs(self._inputs, inputs))):
            np.copyto(self._interface.view(handle, _INPUTS, index, spec), array)

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        interface = self._interface
        self._owner.check("session")
        with self._lock:
            handle = self._open()
            sizes = [size for shape in check_shapes(self._inputs, shapes) for size in shape]
            status = interface.c.inn_model_resize(handle, (ctypes.c_int64 * len(sizes))(*sizes))
            error = interface.error() if status != 0 else None
            self._inputs = interface.specs(handle, _INPUTS)
            self._outputs = interface.specs(handle, _OUTPUTS)
            if error is not None:
                raise error

    def close(self) -> None:
        if self._owner.is_here:
            with self._lock:
                self._free()

    def _open(self) -> int:
        if not self._free.alive:
            raise UsageError("the model is closed")
        return int(self._handle)


def _destroy(owner: Owner, interface: _Interface, handle: int) -> None:
    """Free a model; its threads would be waited for in vain in a forked process."""
    if owner.is_here:
        interface.c.inn_model_destroy(handle)
