"""The worker's side of `inn_runtime.engine.worker`: serves the engine of this process over a socket."""

from __future__ import annotations

import os
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import astuple

from ..errors import InnError
from .channel import Channel, Header
from .interface import Array, Engine, EngineModel, TensorSpec
from .native import NativeEngine

Reply = tuple[Header, list[Array]]


class _Server:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._models: dict[int, EngineModel] = {}
        self._operations: dict[str, Callable[[Header, list[Array]], Reply]] = {
            "build": self._build,
            "run": self._run,
            "profile": self._profile,
            "resize": self._resize,
            "free": lambda header, arrays: ({}, []),
        }

    def answer(self, header: Header, arrays: list[Array]) -> Reply:
        for number in header["free"]:
            self._models.pop(number).close()
        try:
            return self._operations[header["operation"]](header, arrays)
        except InnError as error:
            return {"error": type(error).__name__, "message": str(error)}, []
        except (MemoryError, ValueError, OSError) as error:
            return {"error": "EngineError", "message": f"in the worker: {error!r}"}, []

    def _build(self, header: Header, arrays: list[Array]) -> Reply:
        model = self._engine.build(arrays[0].data, header["threads"])
        self._models[header["model"]] = model
        return _describe(model), []

    def _run(self, header: Header, arrays: list[Array]) -> Reply:
        model = self._models[header["model"]]
        outputs = model.run({spec.name: array for spec, array in zip(model.inputs, arrays)})
        return _describe(model), [outputs[spec.name] for spec in model.outputs]

    def _profile(self, header: Header, arrays: list[Array]) -> Reply:
        model = self._models[header["model"]]
        times = model.profile({spec.name: array for spec, array in zip(model.inputs, arrays)})
        return {**_describe(model), "times": [astuple(time) for time in times]}, []

    def _resize(self, header: Header, arrays: list[Array]) -> Reply:
        model = self._models[header["model"]]
        model.resize({spec.name: shape for spec, shape in zip(model.inputs, header["shapes"])})
        return _describe(model), []


def _describe(model: EngineModel) -> Header:
    return {"inputs": _specs(model.inputs), "outputs": _specs(model.outputs)}


def _specs(specs: tuple[TensorSpec, ...]) -> list[Header]:
    return [{"name": spec.name, "shape": spec.shape, "dtype": spec.dtype.str} for spec in specs]


def main(descriptor: int, parent: int) -> None:
    """Serve until the other side closes the socket ``descriptor`` or the process ``parent`` ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.dup2(2, 1)  # what the engine prints must not end up in the parent's results

    def check_parent() -> None:
        if os.getppid() != parent:
            raise EOFError("the parent is gone")

    channel = Channel(socket.socket(fileno=descriptor), check_parent)
    code = 0
    try:
        _serve(channel)
    except (EOFError, OSError):
        pass
    except Exception:
        traceback.print_exc()
        code = 1
    os._exit(code)  # at once: neither the engine's threads nor its destructors have anything to add


def _serve(channel: Channel) -> None:
    try:
        engine = NativeEngine()
    except InnError as error:
        channel.send({"error": type(error).__name__, "message": str(error)})
        return
    server = _Server(engine)
    channel.send({"version": engine.version})
    while True:
        channel.send(*server.answer(*channel.receive()))
