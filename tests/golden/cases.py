"""The exports whose bundles are compared with what they were: small networks and a ResNet-20, every effort,
quadrature, storage and way to choose widths, all from fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inn_exporter import Tuning
from onnx import ModelProto, TensorProto, helper, numpy_helper

RESNET20 = Path(__file__).parents[2] / "benchmarks" / "models" / "fashion-resnet20.onnx"
SIZES = (0.3, 0.5, 0.8, 1.0)


@dataclass(frozen=True)
class Case:
    """An export.

    Attributes
    ----------
    network : makes the model, or says where it is
    shape : of an image
    images : how many there are, half of which calibrate
    options : of `inn_exporter.export`
    """

    network: Callable[[], ModelProto | Path]
    shape: tuple[int, ...]
    options: Mapping[str, Any]
    images: int = 80


def images(shape: tuple[int, ...], count: int, seed: int = 1) -> np.ndarray:
    """Smooth pictures: noise of several widths added up, (count, …) float32."""
    random = np.random.default_rng(seed)
    total = np.zeros((count, *shape))
    for repeat in (4, 2, 1):
        coarse = random.standard_normal((count, shape[0], *(-(-n // repeat) for n in shape[1:])))
        for axis in range(2, coarse.ndim):
            coarse = coarse.repeat(repeat, axis)
        total += coarse[(slice(None), slice(None), *(slice(n) for n in shape[1:]))]
    return total.astype(np.float32)


class _Builder:
    """An ONNX model in the making; methods return the tensor they add."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._random = np.random.default_rng(0)
        self._nodes: list[Any] = []
        self._weights: list[TensorProto] = []
        self._input = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def weight(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 16
        return self.constant(self._random.normal(0, fan_in**-0.5, shape))

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int = 3, group: int = 1, stride: int = 1
    ) -> str:
        weights = self.weight(outputs, inputs // group, kernel, kernel), self.weight(outputs)
        pads = [kernel // 2] * 4
        return self.node("Conv", x, *weights, pads=pads, group=group, strides=[stride, stride])

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        return self.node("Add", self.node("MatMul", x, self.weight(inputs, outputs)), self.weight(outputs))

    def split(self, x: str, count: int, heads: int, width: int, order: list[int]) -> str:
        shape = self.constant([0, count, heads, width], np.int64)
        return self.node("Transpose", self.node("Reshape", x, shape), perm=order)

    def model(self, output: str, rank: int) -> ModelProto:
        found = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *[None] * (rank - 1)])
        graph = helper.make_graph(self._nodes, "golden", [self._input], [found], self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def residual() -> ModelProto:
    """A ResNet with a projection, eight layers."""
    b = _Builder((3, 12, 12))
    x = b.node("Relu", b.conv("x", 3, 16))
    for width, inputs in ((16, 16), (24, 16), (24, 24)):
        stride = width // inputs if width == inputs else 2
        branch = b.conv(b.node("Relu", b.conv(x, inputs, width, stride=stride)), width, width)
        x = b.node("Relu", b.node("Add", branch, x if width == inputs else b.conv(x, inputs, width, 1, 1, 2)))
    flat = b.node("Flatten", b.node("GlobalAveragePool", x))
    return b.model(b.node("Gemm", flat, b.weight(10, 24), b.weight(10), transB=1), 2)


def mobile() -> ModelProto:
    """Depthwise convolutions with ReLU6 round linear streams, squeeze and excitation, a concatenation."""
    b = _Builder((3, 12, 12))
    limits = b.constant(0.0), b.constant(6.0)
    x = b.conv(b.node("Clip", b.conv("x", 3, 12), *limits), 12, 10, 1)
    for _ in range(2):
        wide = b.node("Clip", b.conv(x, 10, 20, 1), *limits)
        wide = b.node("Clip", b.conv(wide, 20, 20, 3, 20), *limits)
        gate = b.node("Relu", b.conv(b.node("GlobalAveragePool", wide), 20, 8, 1))
        wide = b.node("Mul", wide, b.node("Sigmoid", b.conv(gate, 8, 20, 1)))
        x = b.node("Add", b.conv(wide, 20, 10, 1), x)
    x = b.node("Concat", x, b.node("Relu", b.conv(x, 10, 6)), axis=1)
    flat = b.node("Flatten", b.node("AveragePool", x, kernel_shape=[4, 4], strides=[4, 4]))
    return b.model(b.node("Gemm", flat, b.weight(10, 144), b.weight(10), transB=1), 2)


def attention() -> ModelProto:
    """One block of a transformer: four heads, layer norms written out whole, an output with positions."""
    b = _Builder((6, 16))
    x = b.dense("x", 16, 24)

    def normed(x: str) -> str:
        scale = b.constant(b._random.uniform(0.5, 1.5, 24))
        return b.node("LayerNormalization", x, scale, b.weight(24), axis=-1, epsilon=1e-5)

    y = normed(x)
    q, k, v = (b.dense(y, 24, 24) for _ in range(3))
    q, v = (b.split(t, 6, 4, 6, [0, 2, 1, 3]) for t in (q, v))
    k = b.split(k, 6, 4, 6, [0, 2, 3, 1])
    scores = b.node("Mul", b.node("MatMul", q, k), b.constant(6**-0.5))
    mixed = b.node("Transpose", b.node("MatMul", b.node("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    x = b.node("Add", x, b.dense(b.node("Reshape", mixed, b.constant([0, 6, 24], np.int64)), 24, 24))
    x = b.node("Add", x, b.dense(b.node("Relu", b.dense(normed(x), 24, 40)), 40, 24))
    return b.model(b.dense(normed(x), 24, 5), 3)


_TUNING = Tuning(seen=96, batch=16)

_RESIDUAL = {
    "fast": {"effort": "fast"},
    "refit": {"effort": "refit", "span_steps": 4},
    "layers": {"effort": "refit", "span_steps": 0, "refit_up_to": 1.0},
    "distill": {"effort": "distill", "span_steps": 2, "distill_images": 192},
    "int8": {"effort": "refit", "span_steps": 2, "storage": "int8"},
    "float32": {"effort": "refit", "span_steps": 2, "storage": "float32"},
    "flops": {"effort": "refit", "span_steps": 2, "optimise": "flops", "align": 2},
    "params": {"effort": "fast", "optimise": "params"},
    "latency": {"effort": "fast", "optimise": "latency"},
    "keep": {"effort": "fast", "keep": ["conv7"]},
    "trapezoid": {"quadrature": "trapezoid"},
    "rescaled": {"quadrature": "rescaled"},
    "l1": {"quadrature": "none"},
    "tune": {"tune": True, "tuning": _TUNING},
    "tune-trapezoid": {"quadrature": "trapezoid", "tune": True, "tuning": _TUNING},
    "partitions": {
        "quadrature": "trapezoid",
        "tune": True,
        "tuning": Tuning(seen=96, batch=16, partitions=True),
    },
}

CASES = {
    **{f"residual-{name}": Case(residual, (3, 12, 12), options) for name, options in _RESIDUAL.items()},
    "mobile-refit": Case(mobile, (3, 12, 12), {"span_steps": 2, "refit_up_to": 1.0}),
    "mobile-distill": Case(
        mobile, (3, 12, 12), {"effort": "distill", "distill_images": 192, "span_steps": 0}
    ),
    "attention-refit": Case(attention, (6, 16), {"span_steps": 2}),
    "attention-fast-flops": Case(attention, (6, 16), {"effort": "fast", "optimise": "flops", "align": 1}),
    "resnet20-refit": Case(lambda: RESNET20, (1, 28, 28), {"span_steps": 2}, images=48),
    "resnet20-fast-flops": Case(lambda: RESNET20, (1, 28, 28), {"effort": "fast", "optimise": "flops"}, 48),
}
