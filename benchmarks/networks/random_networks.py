"""Random small networks over the operators that convolutional networks are made of, from a seed.

A network grows by moves. Each takes one of the maps that are there and adds another; what nothing reads in
the end becomes an output. With ``twins``, neighbouring channels of every layer are equal, and only moves are
made that keep them so: half of the channels can then lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

ACTIVATIONS = ("Relu", "Relu6", "LeakyRelu", "Sigmoid", "HardSwish", "Tanh", "Elu", "PRelu")


@dataclass(frozen=True)
class Map:
    """A tensor (batch, channels, height, width)."""

    name: str
    channels: int
    height: int
    width: int

    @property
    def extent(self) -> tuple[int, int]:
        return self.height, self.width


class _Builder:
    """An ONNX model in the making; methods return the tensor that they add."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[TensorProto] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, *shape: int, name: str) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
        return name

    def output(self, tensor: str, rank: int = 2) -> None:
        shape = ["batch", *[None] * (rank - 1)]
        self._outputs.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape))

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [f"{name}_out"], name=name, **attributes))
        return f"{name}_out"

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def model(self) -> ModelProto:
        graph = helper.make_graph(self._nodes, "random", self._inputs, self._outputs, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class _Grower:
    def __init__(self, seed: int, twins: bool) -> None:
        self.random = np.random.default_rng(seed)
        self.twins = twins
        self.net = _Builder()
        self.maps: list[Map] = []
        self.read: set[str] = set()

    # ------------------------------------------------------------------ parts
    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def pick(self, maps: list[Map] | None = None) -> Map:
        found = maps or self.maps
        return found[int(self.random.integers(max(0, len(found) - 4), len(found)))]

    def channels(self) -> int:
        return 2 * int(self.random.integers(2, 9))

    def values(self, *shape: int) -> str:
        """A weight or bias whose first dimension is of outputs, twins where asked for."""
        fan_in = max(1, int(np.prod(shape[1:])))
        found = self.random.normal(0, (1.6 / fan_in) ** 0.5 if len(shape) > 1 else 0.2, shape)
        if self.twins and shape[0] % 2 == 0:
            found[1::2] = found[::2]
        return self.net.constant(found)

    def layer(self, x: Map, outputs: int, kernel: int = 3, group: int = 1, stride: int = 1) -> Map:
        """A convolution, with or without batch normalisation."""
        self.read.add(x.name)
        height, width = ((n - 1) // stride + 1 for n in x.extent)
        weights = [self.values(outputs, x.channels // group, kernel, kernel)]
        weights += [self.values(outputs)] if self.chance(0.8) else []
        pads = [kernel // 2] * 4
        name = self.net.node("Conv", x.name, *weights, pads=pads, group=group, strides=[stride, stride])
        if self.chance(0.3):
            name = self.normalised(name, outputs)
        return Map(name, outputs, height, width)

    def normalised(self, x: str, channels: int) -> str:
        means, shifts = (0.3 * self.random.normal(size=channels) for _ in range(2))
        scales, variances = (self.random.uniform(0.5, 1.5, channels) for _ in range(2))
        for array in (means, shifts, scales, variances) if self.twins else ():
            array[1::2] = array[::2]
        names = [self.net.constant(array) for array in (scales, shifts, means, variances)]
        return self.net.node("BatchNormalization", x, *names)

    def activated(self, x: Map) -> Map:
        kind = str(self.random.choice(ACTIVATIONS))
        self.read.add(x.name)
        if kind == "Relu6":
            name = self.net.node("Clip", x.name, self.net.constant(0.0), self.net.constant(6.0))
        elif kind == "PRelu":
            slopes = 0.3 * self.random.random((x.channels, 1, 1))
            slopes[1::2] = slopes[::2] if self.twins else slopes[1::2]
            name = self.net.node("PRelu", x.name, self.net.constant(slopes))
        else:
            name = self.net.node(kind, x.name)
        return Map(name, x.channels, *x.extent)

    # ------------------------------------------------------------------ moves
    def grow(self) -> Map:
        stride = 2 if min(self.maps[-1].extent) > 5 and self.chance(0.3) else 1
        return self.activated(
            self.layer(self.pick(), self.channels(), 1 if self.chance(0.3) else 3, 1, stride)
        )

    def depthwise(self) -> Map:
        x = self.pick()
        return self.activated(self.layer(x, x.channels, 3, x.channels))

    def grouped(self) -> Map:
        x = self.pick()
        if x.channels % 4 or self.twins:
            return self.grow()
        return self.activated(self.layer(x, 2 * self.channels(), 3, 2))

    def residual(self) -> Map:
        x = self.pick()
        y = self.layer(self.activated(self.layer(x, self.channels())), x.channels)
        self.read.update((x.name, y.name))
        total = Map(self.net.node("Add", y.name, x.name), x.channels, *x.extent)
        return self.activated(total) if self.chance(0.7) else total

    def joined(self) -> Map:
        x = self.pick()
        same = [m for m in self.maps if m.extent == x.extent]
        y = self.pick(same)
        self.read.update((x.name, y.name))
        channels = x.channels + y.channels
        return Map(self.net.node("Concat", x.name, y.name, axis=1), channels, *x.extent)

    def gated(self) -> Map:
        x = self.pick()
        pooled = Map(self.net.node("GlobalAveragePool", x.name), x.channels, 1, 1)
        inner = self.activated(self.layer(pooled, self.channels(), 1))
        gate = self.net.node("Sigmoid", self.layer(inner, x.channels, 1).name)
        self.read.add(x.name)
        return Map(self.net.node("Mul", x.name, gate), x.channels, *x.extent)

    def pooled(self) -> Map:
        x = self.pick()
        if min(x.extent) < 4:
            return self.grow()
        self.read.add(x.name)
        kind = "MaxPool" if self.chance(0.5) else "AveragePool"
        name = self.net.node(kind, x.name, kernel_shape=[2, 2], strides=[2, 2])
        return Map(name, x.channels, x.height // 2, x.width // 2)

    def enlarged(self) -> Map:
        x = self.pick()
        if max(x.extent) > 10:
            return self.grow()
        self.read.add(x.name)
        channels = self.channels()
        weight = np.swapaxes(
            self.random.normal(0, (4 * x.channels) ** -0.5, (channels, x.channels, 2, 2)), 0, 1
        )
        if self.twins:
            weight[:, 1::2] = weight[:, ::2]
        name = self.net.node("ConvTranspose", x.name, self.net.constant(weight), strides=[2, 2])
        return Map(name, channels, 2 * x.height, 2 * x.width)

    def halved(self) -> Map:
        x = self.pick()
        if x.channels % 4:
            return self.grow()
        self.read.add(x.name)
        half = x.channels // 2
        start = half * int(self.random.integers(2))
        bounds = [self.net.integers(value) for value in (start, start + half, 1)]
        return Map(self.net.node("Slice", x.name, *bounds), half, *x.extent)

    def shuffled(self) -> Map:
        x = self.pick()
        if x.channels % 4 or self.twins:
            return self.grow()
        self.read.add(x.name)
        split = self.net.node("Reshape", x.name, self.net.integers(0, 2, x.channels // 2, *x.extent))
        turned = self.net.node("Transpose", split, perm=[0, 2, 1, 3, 4])
        return Map(
            self.net.node("Reshape", turned, self.net.integers(0, x.channels, *x.extent)),
            x.channels,
            *x.extent,
        )

    def shared(self) -> Map:
        """One convolution on two maps, whose results are added."""
        x = self.pick()
        y = self.layer(self.pick([m for m in self.maps if m.extent == x.extent]), x.channels, 1)
        channels = self.channels()
        weights = [self.values(channels, x.channels, 3, 3), self.values(channels)]
        both = [self.net.node("Conv", m.name, *weights, pads=[1] * 4) for m in (x, y)]
        self.read.update((x.name, y.name))
        return self.activated(Map(self.net.node("Add", *both), channels, *x.extent))

    def tokens(self) -> Map:
        """Dense layers along the channels of positions, and back."""
        x = self.pick()
        self.read.add(x.name)
        count, channels = x.height * x.width, self.channels()
        flat = self.net.node("Reshape", x.name, self.net.integers(0, x.channels, count))
        y = self.net.node("Transpose", flat, perm=[0, 2, 1])
        kernel = self.random.normal(0, x.channels**-0.5, (channels, x.channels))
        if self.twins:
            kernel[1::2] = kernel[::2]
        y = self.net.node("MatMul", y, self.net.constant(kernel.T))
        back = self.net.node("Transpose", self.net.node("Relu", y), perm=[0, 2, 1])
        return Map(
            self.net.node("Reshape", back, self.net.integers(0, channels, *x.extent)), channels, *x.extent
        )

    # ------------------------------------------------------------------ the network
    def ended(self, x: Map) -> None:
        """An output from a map: scores, or the map itself behind one more convolution."""
        twins, self.twins = self.twins, False
        if self.chance(0.5):
            self.net.output(self.layer(x, 3, 1).name, 4)
        else:
            pooled = self.net.node("GlobalAveragePool", x.name) if self.chance(0.7) else x.name
            count = x.channels if pooled != x.name else x.channels * x.height * x.width
            flat = self.net.node("Flatten", pooled)
            self.net.output(self.net.node("Gemm", flat, self.values(5, count), self.values(5), transB=1))
        self.twins = twins


def random_network(seed: int, twins: bool = False) -> tuple[ModelProto, dict[str, tuple[int, ...]]]:
    """A network, and the shape of an image for each of its inputs."""
    grower = _Grower(seed, twins)
    shapes: dict[str, tuple[int, ...]] = {}
    for index in range(1 + int(grower.chance(0.2))):
        shape = (int(grower.random.integers(1, 4)), *(int(n) for n in grower.random.integers(6, 12, 2)))
        name = grower.net.input(*shape, name=f"x{index}")
        shapes[name] = shape
        grower.maps.append(grower.activated(grower.layer(Map(name, *shape), grower.channels())))
    moves: list[Callable[[], Map]] = [
        *[grower.grow] * 2, grower.depthwise, grower.grouped, grower.residual, grower.joined, grower.gated,
        grower.pooled, grower.enlarged, grower.halved, grower.shuffled, grower.shared, grower.tokens,
    ]  # fmt: skip
    for _ in range(int(grower.random.integers(2, 6))):
        grower.maps.append(moves[int(grower.random.integers(len(moves)))]())
    for found in [m for m in grower.maps if m.name not in grower.read]:
        grower.ended(found)
    return grower.net.model(), shapes
