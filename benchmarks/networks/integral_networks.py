"""The networks of the paper's experiments, at a scale for two cores, as integral Cells.

At full size they are ordinary networks: trained that way they are the discrete baselines, trained at random
sizes too they are integral networks from scratch. All channels but the inputs' and outputs' are axes.
"""

from __future__ import annotations

import inn_exporter.backend
import numpy as np
from inn_exporter.integral import ContinuousAxis, IntegralConv2d, IntegralConvNorm2d, IntegralDense
from inn_runtime.sampling.plan import round_width

ms = inn_exporter.backend.mindspore()
ops = ms.ops


class Network(ms.nn.Cell):
    """Makes layers with seeded weights, smooth for integral networks, and remembers their axes."""

    def __init__(self, seed: int, integral: bool) -> None:
        super().__init__()
        self._smoothness = 1.0 if integral else 0.0
        self.axes: list[ContinuousAxis] = []
        self._seeds = iter(np.random.default_rng(seed).integers(1 << 31, size=100).tolist())

    def axis(self, size: int) -> ContinuousAxis:
        """A new axis: cubic kernel, trapezoid rule."""
        self.axes.append(ContinuousAxis(size, smoothness=self._smoothness))
        return self.axes[-1]

    def layer(self, kind: type, *arguments: object, **options: object) -> ms.nn.Cell:
        """A layer with the next seed."""
        return kind(*arguments, seed=next(self._seeds), **options)

    def resize(self, size: float) -> None:
        """Sample all axes at this share of their channels."""
        for axis in self.axes:
            axis.resize(round_width(size, axis.size, 1))


class _Block(ms.nn.Cell):
    """Two 3x3 convolutions and a shortcut, 1x1 where the shape changes."""

    def __init__(self, net: Network, inputs: ContinuousAxis, outputs: ContinuousAxis, stride: int) -> None:
        super().__init__()
        inner = net.axis(outputs.size)
        self.first = net.layer(IntegralConvNorm2d, inputs, inner, 3, stride=stride, padding=1)
        self.second = net.layer(IntegralConvNorm2d, inner, outputs, 3, padding=1)
        self.projects = inputs is not outputs
        if self.projects:
            self.shortcut = net.layer(IntegralConvNorm2d, inputs, outputs, 1, stride=stride)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        y = self.second(ops.relu(self.first(x)))
        return ops.relu(y + (self.shortcut(x) if self.projects else x))


class ResNet(Network):
    """ResNet-14: stride-2 stem, three stages of two blocks, widths 16/32/64."""

    def __init__(self, seed: int, integral: bool) -> None:
        super().__init__(seed, integral)
        axis = self.axis(16)
        self.stem = self.layer(IntegralConvNorm2d, 1, axis, 3, stride=2, padding=1)
        blocks = []
        for stage, width in enumerate((16, 32, 64)):
            outputs = self.axis(width) if stage else axis
            for index in range(2):
                blocks.append(_Block(self, axis, outputs, 2 if stage and index == 0 else 1))
                axis = outputs
        self.blocks = ms.nn.SequentialCell(blocks)
        self.head = self.layer(IntegralDense, axis, 10)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.head(ops.mean(self.blocks(ops.relu(self.stem(x))), (2, 3)))


class NIN(Network):
    """Network in network: a 5x5 and a 3x3 convolution with stride 2, two 1x1 after each, global pooling."""

    def __init__(self, seed: int, integral: bool) -> None:
        super().__init__(seed, integral)
        layers, inputs = [], 1
        for width, kernel, stride in ((32, 5, 2), (32, 1, 1), (32, 1, 1), (64, 3, 2), (64, 1, 1), (64, 1, 1)):
            outputs = self.axis(width)
            options = {"stride": stride, "padding": kernel // 2}
            layers += [self.layer(IntegralConvNorm2d, inputs, outputs, kernel, **options), ms.nn.ReLU()]
            inputs = outputs
        self.layers = ms.nn.SequentialCell(layers)
        self.head = self.layer(IntegralConv2d, inputs, 10, 1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return ops.mean(self.head(self.layers(x)), (2, 3))


class VGG11(Network):
    """VGG-11 with batch norm, an eighth of its widths, stride-2 stem, and a flattened head of 3x3."""

    def __init__(self, seed: int, integral: bool) -> None:
        super().__init__(seed, integral)
        layers, inputs = [], 1
        for index, width in enumerate((8, 16, 32, 32, 64, 64, 64, 64)):
            outputs = self.axis(width)
            options = {"stride": 2 if index == 0 else 1, "padding": 1}
            layers += [self.layer(IntegralConvNorm2d, inputs, outputs, 3, **options), ms.nn.ReLU()]
            if index in (1, 3):
                layers.append(ms.nn.MaxPool2d(2, 2))
            inputs = outputs
        self.layers = ms.nn.SequentialCell(layers)
        hidden = self.axis(64)
        self.hidden = self.layer(IntegralConv2d, inputs, hidden, 3)  # a dense layer on the flattened 3x3
        self.head = self.layer(IntegralDense, hidden, 10)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        x = ops.relu(self.hidden(self.layers(x)))
        return self.head(ops.reshape(x, (x.shape[0], -1)))


class SRCNN(Network):
    """SRCNN-like: 5x5, 3x3 and 5x5 convolutions on a bicubically enlarged luminance, plus that."""

    def __init__(self, seed: int, integral: bool) -> None:
        super().__init__(seed, integral)
        first, second = self.axis(32), self.axis(32)
        self.first = self.layer(IntegralConv2d, 1, first, 5, padding=2)
        self.second = self.layer(IntegralConv2d, first, second, 3, padding=1)
        self.last = self.layer(IntegralConv2d, second, 1, 5, padding=2)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return x + self.last(ops.relu(self.second(ops.relu(self.first(x)))))


NETWORKS = {"resnet": ResNet, "nin": NIN, "vgg": VGG11, "srcnn": SRCNN}
