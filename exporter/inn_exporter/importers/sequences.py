"""Recurrent layers that take the images of a batch for the steps of a sequence."""

from __future__ import annotations

from collections.abc import Collection

from onnx import ModelProto, shape_inference

RECURRENT = ("GRU", "LSTM", "RNN")
SEVERAL = 7919
"""Images with which it is found out where a layer has its batch: with one, both places look alike. No other
dimension is as long."""


def batched_inputs(model: ModelProto) -> set[str]:
    """The inputs that may hold more than one image, or do."""
    shapes = {info.name: info.type.tensor_type.shape.dim for info in model.graph.input}
    return {name for name, dims in shapes.items() if dims and dims[0].dim_value != 1}


def sequence_problems(model: ModelProto, inputs: Collection[str]) -> list[str]:
    """What is wrong with the recurrent layers of a model whose shapes are fixed, when ``inputs`` have any
    batch."""
    if not any(node.op_type in RECURRENT for node in model.graph.node):
        return []
    several = ModelProto()
    several.CopyFrom(model)
    del several.graph.value_info[:]
    for info in several.graph.input:
        if info.name in inputs:
            info.type.tensor_type.shape.dim[0].dim_value = SEVERAL
    for output in several.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(several, data_prop=True).graph
    shapes = {
        info.name: [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in (*graph.input, *graph.value_info)
    }
    return [
        f"{node.name or node.op_type}: {node.op_type}: its steps are the images of a batch; export it with a "
        "dimension of its own for them"
        for node in graph.node
        if node.op_type in RECURRENT
        and not any(attribute.name == "layout" and attribute.i for attribute in node.attribute)
        and shapes.get(node.input[0], [])[:2] == [SEVERAL, 1]
    ]
