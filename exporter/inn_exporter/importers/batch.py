"""Models that hold a batch above 1, in their inputs and in constants all over, brought to a batch of 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
from inn_runtime.errors import UsageError
from onnx import ModelProto, NodeProto, defs, helper, numpy_helper, shape_inference

Shape = tuple[int, ...]

_TARGET = {"Reshape": 1, "Expand": 1, "Resize": 3}
"""Operators to which an input says their output's shape, and which one."""
_ALIKE = {"Add", "Concat", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum", "Where"}
"""Operators whose inputs have the batch at the same place."""
_LARGEST_SHAPE = 64
"""Constants of more values are no shapes or axes, which shape inference must see."""


def set_batch_to_one(
    model: ModelProto,
    values: dict[str, np.ndarray],
    before: Mapping[str, np.ndarray],
    opset: int,
    batch: int,
    label: str,
) -> None:
    """Change inputs and constants in place.

    Parameters
    ----------
    values : constants; those that are changed get new names
    before : arrays of the activations' shapes and types at the file's batch

    Raises
    ------
    UsageError : names the node that mixes the batch with other dimensions
    """
    _Walk(model, values, before, opset, batch).run(label)


class _Walk:
    """From node to node. The dimension that holds the batch is the one that is shorter at batch 1."""

    def __init__(
        self,
        model: ModelProto,
        values: dict[str, np.ndarray],
        before: Mapping[str, np.ndarray],
        opset: int,
        batch: int,
    ) -> None:
        self._model = model
        self._values = values
        self._before = before
        self._opset = opset
        self._batch = batch
        self._shapes: dict[str, Shape] = {}  # at batch 1
        self._times: dict[str, int] = {}  # how often the dimension that holds the batch repeats it

    def run(self, label: str) -> None:
        for info in self._model.graph.input:
            info.type.tensor_type.shape.dim[0].dim_value = 1
            self._shapes[info.name] = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
        for node in self._model.graph.node:
            times = max((self._times.get(name, 1) for name in node.input), default=1)
            index = _TARGET.get(node.op_type, len(node.input))
            dim = self._dim(node.input[0]) if index < len(node.input) else None
            if dim is not None and node.input[index] in self._values:
                found = self._target(node, dim, times)
                if found is None:
                    full, target = (self._before[n].shape for n in (node.input[0], node.output[0]))
                    where = f"{label}: {node.name or node.output[0]}: {node.op_type} of {full} to {target}"
                    raise UsageError(
                        f"{where}: the batch of {self._batch} is mixed with the rest; "
                        "export with a batch of 1, or an open one"
                    )
                shape, times = found
                self._replace(node, index, np.array(shape, np.int64))
            elif node.op_type in _ALIKE:
                for place, array in list(self._of_one_image(node)):
                    self._replace(node, place, array)
            self._shapes.update(self._outputs(node))
            self._times.update(dict.fromkeys(node.output, times))

    def _dim(self, name: str) -> int | None:
        """The dimension of an activation that holds the batch, if any."""
        if name not in self._shapes or name not in self._before:
            return None
        lengths = zip(self._before[name].shape, self._shapes[name])
        return next((dim for dim, (full, one) in enumerate(lengths) if full != one), None)

    def _target(self, node: NodeProto, dim: int, times: int) -> tuple[Shape, int] | None:
        """The output's shape at batch 1, and how often the dimension that holds the batch repeats it."""
        full, target = self._before[node.input[0]].shape, self._before[node.output[0]].shape
        if node.op_type == "Reshape":
            ahead = prod(full[:dim]) * times  # as many elements come before the batch in the new shape
            places = [p for p in range(len(target)) if ahead % prod(target[:p]) == 0 and target[p] > 1]
        else:
            ahead, places = prod(target[: dim + len(target) - len(full)]), [dim + len(target) - len(full)]
        for place in reversed(places):
            times = ahead // prod(target[:place])
            if target[place] % (times * self._batch) == 0:
                shape = (*target[:place], target[place] // self._batch, *target[place + 1 :])
                return shape, times
        return None

    def _of_one_image(self, node: NodeProto) -> Iterator[tuple[int, np.ndarray]]:
        """The constants that are the same for each image of the batch: their places, and one image's."""
        dims = {(len(self._shapes[name]), dim) for name in node.input if (dim := self._dim(name)) is not None}
        for place, name in enumerate(node.input):
            for rank, dim in dims:
                array = self._values.get(name)
                if array is not None and array.ndim == rank and array.shape[dim] > 1:
                    first = array.take([0], dim)
                    if (array == first).all():
                        yield place, first

    def _replace(self, node: NodeProto, place: int, array: np.ndarray) -> None:
        """Another constant as an input."""
        name = f"{node.input[place]}@{node.output[0]}"
        self._values[name] = array
        self._model.graph.initializer.append(numpy_helper.from_array(array, name))
        node.input[place] = name

    def _outputs(self, node: NodeProto) -> dict[str, Shape]:
        """Shapes of a node's outputs, as far as they can be inferred."""
        if node.op_type == "GroupNormalization":
            return {node.output[0]: self._shapes[node.input[0]]} if node.input[0] in self._shapes else {}
        types, data = {}, {}
        for name in filter(None, node.input):
            array = self._values.get(name, self._before.get(name))
            shape = array.shape if name in self._values and array is not None else self._shapes.get(name)
            if array is None or shape is None:
                return {}
            types[name] = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(array.dtype), shape)
            if name in self._values and array.size <= _LARGEST_SHAPE:
                data[name] = numpy_helper.from_array(array, name)
        try:
            schema = defs.get_schema(node.op_type, self._opset, "")
            versions = [helper.make_opsetid("", self._opset)]
            found = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=versions)
        except (defs.SchemaError, shape_inference.InferenceError):
            return {}  # the inference of the whole model will say why
        tensors = {name: kind.tensor_type for name, kind in found.items()}
        return {
            name: tuple(dim.dim_value for dim in tensor.shape.dim)
            for name, tensor in tensors.items()
            if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)
        }
