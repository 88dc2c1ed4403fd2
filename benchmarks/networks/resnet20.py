"""The ResNet-20 of the benchmarks: a MindSpore Cell, trained on Fashion-MNIST and written as ONNX.

    python -m benchmarks.networks.resnet20 --output benchmarks/models/fashion-resnet20.onnx

Writes the network, and beside it a training log (JSON). About five minutes per epoch on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.networks import fashion_mnist
from benchmarks.networks.training import ms, one_cycle, train, write

nn, ops = ms.nn, ms.ops

WIDTHS = (32, 64, 128)
BLOCKS_PER_STAGE = 3


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.SequentialCell:
    return nn.SequentialCell(
        nn.Conv2d(
            inputs, outputs, kernel, stride, pad_mode="pad", padding=kernel // 2,
            weight_init=ms.common.initializer.HeNormal(mode="fan_out", nonlinearity="relu"),
        ),
        nn.BatchNorm2d(outputs, momentum=0.9),
    )  # fmt: skip


class Block(nn.Cell):
    """Two 3x3 convolutions and a shortcut, 1x1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride)
        self.second = _convolution(outputs, outputs, 3, 1)
        self.projects = stride != 1 or inputs != outputs
        if self.projects:
            self.shortcut = _convolution(inputs, outputs, 1, stride)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        y = self.second(ops.relu(self.first(x)))
        if self.projects:
            x = self.shortcut(x)
        return ops.relu(y + x)


class ResNet20(nn.Cell):
    """(n, 1, 28, 28) images to (n, classes) logits; stride-2 stem, widths 32/64/128."""

    def __init__(self, classes: int = 10, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.stem = _convolution(1, widths[0], 3, 2)
        blocks, inputs = [], widths[0]
        for stage, outputs in enumerate(widths):
            for index in range(BLOCKS_PER_STAGE):
                blocks.append(Block(inputs, outputs, 2 if stage and index == 0 else 1))
                inputs = outputs
        self.blocks = nn.SequentialCell(blocks)
        self.head = nn.Dense(inputs, classes)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        x = self.blocks(ops.relu(self.stem(x)))
        return self.head(ops.mean(x, (2, 3)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=fashion_mnist.RESNET20)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--peak-rate", type=float, default=0.15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    ms.set_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)

    network = ResNet20(classes=len(fashion_mnist.CLASSES))

    def make_optimizer(steps: int) -> nn.Optimizer:
        rates = one_cycle(arguments.peak_rate, steps)
        return nn.SGD(network.trainable_params(), rates, momentum=0.9, nesterov=True, weight_decay=5e-4)

    rows = train(network, make_optimizer, nn.CrossEntropyLoss(), arguments.epochs, arguments.batch, random)
    write(network, arguments.output, rows, arguments.seed)


if __name__ == "__main__":
    main()
