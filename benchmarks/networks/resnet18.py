"""A network of ResNet-18's shape with random weights, as ONNX: for time and memory they will do."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def resnet18(random: np.random.Generator, classes: int = 1000) -> onnx.ModelProto:
    """A network of ResNet-18's shape, batch norm folded, random weights."""
    nodes, weights = [], []

    def layer(op: str, inputs: list[str], **attributes: object) -> str:
        name = f"{op}{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def weight(*shape: int) -> str:
        scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.01
        name = f"weight{len(weights)}"
        weights.append(
            numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name)
        )
        return name

    def convolution(x: str, inputs: int, outputs: int, kernel: int, stride: int) -> str:
        operands = [x, weight(outputs, inputs, kernel, kernel), weight(outputs)]
        pads = [kernel // 2] * 4
        return layer("Conv", operands, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    x = layer("Relu", [convolution("image", 3, 64, 7, 2)])
    x = layer("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inputs = 64
    for stage, outputs in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            y = layer("Relu", [convolution(x, inputs, outputs, 3, stride)])
            y = convolution(y, outputs, outputs, 3, 1)
            if stride != 1 or inputs != outputs:
                x = convolution(x, inputs, outputs, 1, stride)
            x = layer("Relu", [layer("Add", [y, x])])
            inputs = outputs
    x = layer("Flatten", [layer("GlobalAveragePool", [x])])
    x = layer("Gemm", [x, weight(classes, inputs), weight(classes)], transB=1)
    graph = helper.make_graph(
        nodes,
        "resnet18-224",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, classes])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
