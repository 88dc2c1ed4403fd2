"""Writing a convolutional ONNX network as `.tflite`, with the schema that ai-edge-litert carries.

Only what the networks of ``studies/other_engines.py`` need: Conv (dense, depthwise), Add, MaxPool,
GlobalAveragePool, Flatten and Gemm, with ReLU or ReLU6 fused into the layer before, as LiteRT's own converter
does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto, numpy_helper

FLOAT32, INT32 = 0, 2
SAME, VALID = 0, 1
ACTIVATIONS = {"Relu": 1, "Clip": 3}
"""Of ActivationFunctionType: RELU, RELU6."""


def from_onnx(model: onnx.ModelProto) -> bytes:
    """The `.tflite` of a network at batch 1; its input is NHWC."""
    return _Writer(model).finish()


class _Writer:
    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self._graph = graph
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._buffers = [schema.BufferT()]
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[int] = []
        self._index: dict[str, int] = {}
        self._alias: dict[str, str] = {}
        self._shapes: dict[str, list[int]] = {}
        source = graph.input[0]
        _, channels, height, width = (d.dim_value for d in source.type.tensor_type.shape.dim)
        self._variable(source.name, [1, height, width, channels])
        for node in graph.node:
            getattr(self, f"_{node.op_type.lower()}")(node, _attributes(node))

    def finish(self) -> bytes:
        import flatbuffers

        subgraph = schema.SubGraphT()
        subgraph.tensors, subgraph.operators = self._tensors, self._operators
        subgraph.inputs = [0]
        subgraph.outputs = [self._read(self._graph.output[0].name)]
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [subgraph], self._buffers
        model.operatorCodes = []
        for code in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            entry.version = 1
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    # ------------------------------------------------------------------ tensors
    def _tensor(self, name: str, shape: list[int], kind: int, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _variable(self, name: str, shape: list[int]) -> int:
        self._index[name] = self._tensor(name, shape, FLOAT32, 0)
        self._shapes[name] = shape
        return self._index[name]

    def _constant(self, name: str, values: np.ndarray) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._buffers.append(buffer)
        kind = INT32 if values.dtype == np.int32 else FLOAT32
        return self._tensor(name, list(values.shape), kind, len(self._buffers) - 1)

    def _resolve(self, name: str) -> str:
        while name in self._alias:
            name = self._alias[name]
        return name

    def _read(self, name: str) -> int:
        return self._index[self._resolve(name)]

    def _shape(self, name: str) -> list[int]:
        return self._shapes[self._resolve(name)]

    def _operator(self, kind: str, inputs: list[int], output: int, options: Any, options_name: str) -> None:
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self._codes:
            self._codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.index(code)
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_name)
        operator.builtinOptions = options
        self._operators.append(operator)

    def _activation(self, node: NodeProto) -> int:
        """The activation that follows alone; its node then only renames."""
        readers = self._readers.get(node.output[0], [])
        if len(readers) == 1 and readers[0].op_type in ACTIVATIONS:
            return ACTIVATIONS[readers[0].op_type]
        return 0

    # ------------------------------------------------------------------ operators
    def _conv(self, node: NodeProto, attributes: dict[str, Any]) -> None:
        weight, bias = (self._constants[name] for name in node.input[1:3])
        kernel, strides = attributes["kernel_shape"], attributes.get("strides", [1, 1])
        group, pads = attributes.get("group", 1), attributes.get("pads", [0, 0, 0, 0])
        x, shape, padding = self._padded(node.input[0], kernel, strides, pads, 0.0)
        sizes = _sizes(shape, kernel, strides, padding)
        output = self._variable(node.output[0], [1, *sizes, len(weight)])
        depthwise = group == len(weight) and group > 1
        if depthwise:
            options = schema.DepthwiseConv2DOptionsT()
            options.depthMultiplier = 1
            values = weight.transpose(1, 2, 3, 0)  # (1, kh, kw, C)
        else:
            assert group == 1
            options = schema.Conv2DOptionsT()
            values = weight.transpose(0, 2, 3, 1)
        options.padding, (options.strideH, options.strideW) = padding, strides
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = self._activation(node)
        inputs = [x, self._constant(node.input[1], values), self._constant(node.input[2], bias)]
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self._operator(
            name, inputs, output, options, "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        )

    def _maxpool(self, node: NodeProto, attributes: dict[str, Any]) -> None:
        kernel, strides = attributes["kernel_shape"], attributes["strides"]
        pads = attributes.get("pads", [0, 0, 0, 0])
        # What is pooled comes from a ReLU here, so padding with 0 changes nothing.
        x, shape, padding = self._padded(node.input[0], kernel, strides, pads, 0.0)
        output = self._variable(node.output[0], [1, *_sizes(shape, kernel, strides, padding), shape[3]])
        options = schema.Pool2DOptionsT()
        options.padding = padding
        options.strideH, options.strideW = strides
        options.filterHeight, options.filterWidth = kernel
        options.fusedActivationFunction = 0
        self._operator("MAX_POOL_2D", [x], output, options, "Pool2DOptions")

    def _padded(
        self, name: str, kernel: list[int], strides: list[int], pads: list[int], value: float
    ) -> tuple[int, list[int], int]:
        """The input, padded by a node of its own where neither SAME nor VALID says it."""
        shape = self._shape(name)
        if not any(pads):
            return self._read(name), shape, VALID
        same = []
        for size, k, s in zip(shape[1:3], kernel, strides):
            total = max(0, (-(-size // s) - 1) * s + k - size)
            same.append((total // 2, total - total // 2))
        if pads == [same[0][0], same[1][0], same[0][1], same[1][1]]:
            return self._read(name), shape, SAME
        amounts = np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32)
        shape = [size + int(sum(more)) for size, more in zip(shape, amounts)]
        output = self._variable(f"{name}.padded{len(self._tensors)}", shape)
        inputs = [self._read(name), self._constant(f"{name}.pads{len(self._tensors)}", amounts)]
        self._operator("PAD", inputs, output, schema.PadOptionsT(), "PadOptions")
        return output, shape, VALID

    def _relu(self, node: NodeProto, attributes: dict[str, Any]) -> None:
        self._alias[node.output[0]] = node.input[0]

    _clip = _relu

    def _add(self, node: NodeProto, attributes: dict[str, Any]) -> None:
        output = self._variable(node.output[0], self._shape(node.input[0]))
        options = schema.AddOptionsT()
        options.fusedActivationFunction = self._activation(node)
        self._operator("ADD", [self._read(name) for name in node.input], output, options, "AddOptions")

    def _globalaveragepool(self, node: NodeProto, attributes: dict[str, Any]) -> None:
        output = self._variable(node.output[0], [1, self._shape(node.input[0])[3]])
        options = schema.ReducerOptionsT()
        options.keepDims = False
        axes = self._constant(f"{node.output[0]}.axes", np.array([1, 2], np.int32))
        self._operator("MEAN", [self._read(node.input[0]), axes], output, options, "ReducerOptions")

    def _flatten(self, node: NodeProto, attributes: dict[str, Any]) -> None:
        self._alias[node.output[0]] = node.input[0]  # after the mean there is nothing to flatten

    def _gemm(self, node: NodeProto, attributes: dict[str, Any]) -> None:
        weight, bias = (self._constants[name] for name in node.input[1:3])
        weight = weight if attributes.get("transB") else weight.T
        output = self._variable(node.output[0], [1, len(weight)])
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = options.weightsFormat = 0
        inputs = [self._read(node.input[0]), self._constant(node.input[1], weight)]
        inputs.append(self._constant(node.input[2], bias))
        self._operator("FULLY_CONNECTED", inputs, output, options, "FullyConnectedOptions")


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _sizes(shape: list[int], kernel: list[int], strides: list[int], padding: int) -> list[int]:
    if padding == SAME:
        return [-(-size // s) for size, s in zip(shape[1:3], strides)]
    return [(size - k) // s + 1 for size, k, s in zip(shape[1:3], kernel, strides)]
