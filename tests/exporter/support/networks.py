"""Small ONNX networks with seeded weights, put together node by node, and what ONNX Runtime makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper


class Network:
    """An ONNX model in the making; methods return the name of the tensor they add."""

    def __init__(self, opset: int = 17, batch: int | str = "batch") -> None:
        self.opset = opset
        self.batch = batch
        self.random = np.random.default_rng(0)
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []

    def input(self, *shape: int | str | None, name: str = "x", kind: int = TensorProto.FLOAT) -> str:
        """An input of ``shape``, the batch left out."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, [self.batch, *shape]))
        return name

    def output(self, tensor: str, rank: int = 2) -> str:
        shape = [self.batch, *[None] * (rank - 1)]
        self.outputs.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape))
        return tensor

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        stem = f"{op.lower()}_{len(self.nodes)}"
        names = [f"{stem}_out", *(f"{stem}_out{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(op, inputs, names, name=stem, **attributes))
        return names[0]

    def constant(self, values: Any, kind: Any = np.float32, name: str | None = None) -> str:
        name = name or f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def weight(self, *shape: int, kind: Any = np.float32) -> str:
        """Normally distributed; keeps the scale of what it is contracted with."""
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.constant(self.random.normal(0, fan_in**-0.5, shape), kind)

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int = 3, bias: bool = True, **attributes: Any
    ) -> str:
        """A convolution that keeps the extent, unless ``attributes`` say otherwise."""
        attributes.setdefault("kernel_shape", [kernel, kernel])
        if "auto_pad" not in attributes:
            attributes.setdefault("pads", [kernel // 2] * 4)
        weight = self.weight(outputs, inputs // attributes.get("group", 1), *attributes["kernel_shape"])
        operands = [x, weight, self.weight(outputs)] if bias else [x, weight]
        return self.node("Conv", *operands, **attributes)

    def conv_transpose(
        self, x: str, inputs: int, outputs: int, kernel: int = 3, bias: bool = True, **attributes: Any
    ) -> str:
        """A transposed convolution of stride 2, unless ``attributes`` say otherwise."""
        attributes.setdefault("kernel_shape", [kernel, kernel])
        attributes.setdefault("strides", [2, 2])
        weight = self.weight(inputs, outputs // attributes.get("group", 1), *attributes["kernel_shape"])
        operands = [x, weight, self.weight(outputs)] if bias else [x, weight]
        return self.node("ConvTranspose", *operands, **attributes)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        return self.node("Gemm", x, self.weight(outputs, inputs), self.weight(outputs), transB=1)

    def token_dense(self, x: str, inputs: int, outputs: int) -> str:
        """A dense layer along the last dimension, whatever comes before it."""
        kernel = self.constant(self.random.normal(0, inputs**-0.5, (inputs, outputs)))
        return self.node("Add", self.node("MatMul", x, kernel), self.weight(outputs))

    def batch_norm(self, x: str, channels: int) -> str:
        mean, beta = (self.constant(self.random.normal(0, 0.3, channels)) for _ in range(2))
        gamma, variance = (self.constant(self.random.uniform(0.5, 1.5, channels)) for _ in range(2))
        return self.node("BatchNormalization", x, gamma, beta, mean, variance, epsilon=1e-3)

    def model(self, check: bool = True) -> ModelProto:
        graph = helper.make_graph(self.nodes, "network", self.inputs, self.outputs, self.initializers)
        ir_version = helper.find_min_ir_version_for([helper.make_opsetid("", min(self.opset, 21))])
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir_version
        )
        if check:
            onnx.checker.check_model(model, full_check=True)
        return model


def images(*shape: int, seed: int = 1) -> np.ndarray:
    """Normally distributed float32 values."""
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def run_onnx(model: ModelProto | bytes, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs in ONNX Runtime."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs))))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference against the largest value expected."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())
