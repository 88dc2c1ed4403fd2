"""MindSpore Cells, by way of the ONNX that MindSpore writes."""

from __future__ import annotations

import inspect
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from inn_runtime import UsageError
from onnx import ModelProto

from ..backend import mindspore, tensor
from ..errors import UnsupportedGraphError


def from_cell(network: Any, *example: np.ndarray) -> ModelProto:
    """A MindSpore Cell as an ONNX model, for `export`.

    Parameters
    ----------
    network : a ``mindspore.nn.Cell``; integral layers are exported at full size
    example : an input for each argument of ``construct``, batch first

    Raises
    ------
    UsageError : not a Cell, or no example input
    UnsupportedGraphError : MindSpore cannot write it as ONNX; says why
    """
    package = mindspore()
    if not isinstance(network, package.nn.Cell):
        raise UsageError(f"network: expected a mindspore.nn.Cell, found {type(network).__name__}")
    if not example:
        raise UsageError("example: expected an input for each argument of construct, found none")
    training = network.training
    network.set_train(False)
    own = _discrete(network)
    wrapped = _again(network)
    names = []
    for path, parameter in list(wrapped.parameters_and_names()):  # those of the new layers repeat
        names.append((parameter, parameter.name))
        parameter.name = path
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            os.environ["MS_OM_PATH"] = folder  # where failures leave their traces
            inputs = [tensor(np.asarray(array)) for array in example]
            package.export(wrapped, *inputs, file_name=str(path), file_format="ONNX")
            model = onnx.load(path)
    except Exception as error:  # whatever MindSpore's compiler raises
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UnsupportedGraphError(
            f"{type(network).__name__}: MindSpore cannot write it as ONNX: {reason}"
        ) from error
    finally:
        for parameter, name in names:
            parameter.name = name
        for parent, name, layer in own:
            _put(parent, name, layer)
        network.set_train(training)
    model.graph.name = type(network).__name__
    _name_inputs(model, list(inspect.signature(network.construct).parameters))
    return model


def _name_inputs(model: ModelProto, names: list[str]) -> None:
    """Call the inputs what ``construct`` calls its arguments."""
    found = {port.name: name for port, name in zip(model.graph.input, names)}
    for port in model.graph.input:
        port.name = found.get(port.name, port.name)
    for node in model.graph.node:
        node.input[:] = [found.get(name, name) for name in node.input]


def _again(network: Any) -> Any:
    """The network in a Cell of its own: MindSpore 2.10 exports the same Cell only once."""

    class Network(mindspore().nn.Cell):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.network = network

        def construct(self, *inputs: Any) -> Any:
            return self.network(*inputs)

    return Network().set_train(False)


def _discrete(network: Any) -> list[tuple[Any, str, Any]]:
    """Put MindSpore's own layers in the place of integral ones; returns what was where."""
    replaced = []
    for name, child in list(network.name_cells().items()):
        if hasattr(child, "discrete"):
            replaced.append((network, name, child))
            _put(network, name, child.discrete().set_train(False))
        else:
            replaced += _discrete(child)
    return replaced


def _put(parent: Any, name: str, child: Any) -> None:
    parent.insert_child_to_cell(name, child)
    if isinstance(parent, mindspore().nn.SequentialCell):
        parent.cell_list = tuple(parent.name_cells().values())
