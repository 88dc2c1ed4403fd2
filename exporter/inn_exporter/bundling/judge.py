"""The source is the judge: a bundle at full size against the file it was made from.

Everything between the two may be wrong: the import, folding, the order of channels, lowering, rounding, the
engine. So the network that the bundle holds is run in MindSpore, and in MindSpore Lite where that is on this
machine, and compared with what ONNX Runtime makes of the source file. Beyond a bound there is no bundle.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import replace

import numpy as np
import onnx
from inn_runtime.engine.library import find_local_library
from inn_runtime.errors import InnError, UsageError
from inn_runtime.network import Bundle
from inn_runtime.source import SourceModel, relative_difference
from onnx import ModelProto, ValueInfoProto

from ..execution import forward
from ..graph.graph import Graph
from ..importers.precision import to_float32
from ..storage.stored import store

BOUNDS = {"float32": 1e-4, "float16": 3e-3, "int8": 0.1}
"""The largest difference of an output over its scale, by the storage of the control grids."""
IMPORTED = 1e-3
"""… of the network as imported: what is larger is no rounding."""
ENGINE = 1e-3
"""What MindSpore Lite may add: it approximates some functions (tanh, quotients)."""
HALF_PRECISION = 0.02
"""The bound where the source computes in float16, which is coarser than what is made of it."""
JUDGED = 16
"""Inputs that are compared."""


class SourceMismatchError(InnError):
    """The bundle does not compute what the source file does; the message says where they part."""


def read_source(model: str | os.PathLike[str] | ModelProto) -> tuple[SourceModel, ModelProto]:
    """The source in ONNX Runtime, and as it was read; `import_onnx` has accepted it.

    ONNX Runtime has many operators in float32 only: what it cannot load as it is, it runs in that.
    """
    content = model if isinstance(model, ModelProto) else onnx.load(os.fspath(model))
    label = (model.graph.name or "model") if isinstance(model, ModelProto) else os.fspath(model)
    try:
        return SourceModel(content.SerializeToString() if content is model else label, label), content
    except UsageError:
        single = ModelProto()
        single.CopyFrom(content)
        to_float32(single)
        return SourceModel(single.SerializeToString(), label), content


class Judge:
    """Compares networks with a source file.

    Parameters
    ----------
    source : the file
    model : the same, as it was read
    graph : as imported and folded, before its channels were ordered and its constants rounded
    inputs : some that the network may get, keyed by name
    """

    def __init__(
        self, source: SourceModel, model: ModelProto, graph: Graph, inputs: Mapping[str, np.ndarray]
    ) -> None:
        self.source, self._model, self._graph = source, model, graph
        self._inputs = source.representable({name: array[:JUDGED] for name, array in inputs.items()})
        self._tuned: Graph | None = None

    def of_tuned(self, graph: Graph) -> Judge:
        """Judges by a network that was tuned: its full size is no longer the source's."""
        judge = copy(self)
        judge._tuned = graph
        return judge

    def expected(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What networks should give."""
        return self.source.run(inputs) if self._tuned is None else forward.run(self._tuned, inputs)

    def check_import(self) -> None:
        """Whether the network as imported does what the source does: said now rather than after hours.

        Raises
        ------
        SourceMismatchError : it does not
        """
        name, found = self._worst(forward.run(self._graph, self._inputs, in_mindspore=True))
        if not found <= max(IMPORTED, _bound(self._model, "float32")):
            raise SourceMismatchError(self._verdict(name, found, IMPORTED, "float32"))

    def check(self, graph: Graph, constants: Mapping[str, np.ndarray], bundle: Bundle, storage: str) -> float:
        """The largest difference of a bundle's full size from the source, relative to each output's scale.

        Parameters
        ----------
        graph, constants : the network that the bundle holds at full size
        storage : of its control grids

        Raises
        ------
        SourceMismatchError : it is beyond the bound
        """
        bound = _bound(self._model, storage)
        name, found = self._worst(forward.run(graph, self._inputs, constants, in_mindspore=True))
        if not found <= bound:
            raise SourceMismatchError(self._verdict(name, found, bound, storage))
        outputs = _in_engine(bundle, self._inputs)
        if outputs is not None:
            name, difference = self._worst(outputs)
            if not difference <= bound + ENGINE:
                raise SourceMismatchError(
                    f"{self.source.label}: in MindSpore Lite, output {name!r} differs from the source file "
                    f"by {difference:.1e} of its scale, expected at most {bound + ENGINE:g}; in MindSpore it "
                    "is right"
                )
        return found

    def _worst(self, outputs: Mapping[str, np.ndarray]) -> tuple[str, float]:
        expected = self.expected(self._inputs)
        differences = {n: relative_difference(outputs[n], e) for n, e in expected.items()}
        return max(differences.items(), key=lambda pair: pair[1])

    def _verdict(self, name: str, found: float, bound: float, storage: str) -> str:
        """What is wrong, and as far as can be told, where."""
        text = (
            f"{self.source.label}: output {name!r} differs from the source file by {found:.1e} of its scale "
            f"at full size, expected at most {bound:g}"
        )
        tensor, difference = self._first_that_parts()
        if tensor is not None:
            return f"{text}; the two part at tensor {tensor!r} ({difference:.1e})"
        weight, loss = _worst_rounded(self._graph, storage)
        if storage == "float32" or weight is None:
            return f"{text}; as imported the network is right, but not once its channels are ordered"
        return (
            f"{text}; as imported the network is right: {storage} costs too much here (weight {weight!r} "
            f"loses {loss:.1e}); use storage float32"
        )

    def _first_that_parts(self) -> tuple[str | None, float]:
        """The first tensor of the network as imported that differs from the source's of that name."""
        shared = _inner_tensors(self._model, self._graph)
        exposed = ModelProto()
        exposed.CopyFrom(self._model)
        del exposed.graph.output[:]
        exposed.graph.output.extend(ValueInfoProto(name=name) for name in shared)
        try:
            expected = SourceModel(exposed.SerializeToString(), self.source.label).run(self._inputs, shared)
        except InnError:  # some of them cannot be shown
            return None, 0.0
        found = forward.run(replace(self._graph, outputs=shared), self._inputs, in_mindspore=True)
        for name in shared:
            difference = relative_difference(found[name], expected[name])
            if found[name].shape == expected[name].shape and difference > 10 * BOUNDS["float32"]:
                return name, difference
        return None, 0.0


def _inner_tensors(model: ModelProto, graph: Graph) -> list[str]:
    """Tensors that the graph computes under the source's names, in the graph's order."""
    written = {name for node in model.graph.node for name in node.output}
    return [node.output for node in graph.nodes if node.output in written]


def _worst_rounded(graph: Graph, storage: str) -> tuple[str | None, float]:
    """The weight that loses most by rounding, relative to its root mean square."""
    losses = {}
    for name, values in graph.constants.items():
        power = float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
        error = store(values, storage).read() - values
        losses[name] = float(np.sqrt(np.mean(np.square(error, dtype=np.float64)))) / max(power, 1e-30)
    return max(losses.items(), key=lambda pair: pair[1]) if losses else (None, 0.0)


def _bound(model: ModelProto, storage: str) -> float:
    held = [
        attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")
    ]
    half = any(tensor.data_type == tensor.FLOAT16 for tensor in (*model.graph.initializer, *held))
    return max(BOUNDS[storage], HALF_PRECISION if half else 0.0)


def _in_engine(bundle: Bundle, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The outputs of the bundle's full size in MindSpore Lite; None where that is not on this machine."""
    if find_local_library() is None:
        warnings.warn(
            "MindSpore Lite is not on this machine yet: the bundle was compared with its source in MindSpore "
            "alone",
            stacklevel=2,
        )
        return None
    with bundle.resample(1.0).session() as session:
        found = session.run(inputs)
    return found if isinstance(found, dict) else {bundle.manifest.outputs[0].name: found}
