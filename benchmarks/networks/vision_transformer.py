"""Train a small vision transformer on Fashion-MNIST in MindSpore and write it as ONNX.

    python -m benchmarks.networks.vision_transformer --output benchmarks/models/fashion-transformer.onnx

After ViT (Dosovitskiy et al. 2021): 16 patches of 7x7 pixels, layer norm before each block, class token
replaced by the mean of the tokens. Writes the network, and beside it a training log (JSON).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.networks import fashion_mnist
from benchmarks.networks.training import ms, one_cycle, train, write

nn, ops = ms.nn, ms.ops
PATCH, TOKENS = 7, 16


class Block(nn.Cell):
    """Attention and a layer of GELUs, each added to what it reads.

    GELU is x · σ(1.702 x), as in CLIP: MindSpore 2.10 does not write erf as ONNX.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.shape = (-1, TOKENS, heads, width // heads)
        self.joined = (-1, TOKENS, width)
        self.scale = (width // heads) ** -0.5
        self.norm, self.last_norm = nn.LayerNorm((width,)), nn.LayerNorm((width,))
        self.query, self.key, self.value, self.out = (nn.Dense(width, width) for _ in range(4))
        self.up, self.down = nn.Dense(width, hidden), nn.Dense(hidden, width)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        y = self.norm(x)
        query = ops.transpose(ops.reshape(self.query(y), self.shape), (0, 2, 1, 3))
        key = ops.transpose(ops.reshape(self.key(y), self.shape), (0, 2, 3, 1))
        value = ops.transpose(ops.reshape(self.value(y), self.shape), (0, 2, 1, 3))
        weights = ops.softmax(ops.matmul(query, key) * self.scale, -1)
        found = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        x = x + self.out(ops.reshape(found, self.joined))
        hidden = self.up(self.last_norm(x))
        return x + self.down(hidden * ops.sigmoid(1.702 * hidden))


class VisionTransformer(nn.Cell):
    """(batch, 1, 28, 28) to scores."""

    def __init__(self, width: int = 64, heads: int = 4, hidden: int = 192, blocks: int = 4) -> None:
        super().__init__()
        side = 28 // PATCH
        self.patches = (-1, side, PATCH, side, PATCH)
        self.flat = (-1, TOKENS, PATCH * PATCH)
        self.embed = nn.Dense(PATCH * PATCH, width)
        position = np.random.default_rng(0).normal(0, 0.02, (1, TOKENS, width)).astype(np.float32)
        self.position = ms.Parameter(ms.Tensor(position), name="position")
        self.blocks = nn.SequentialCell([Block(width, heads, hidden) for _ in range(blocks)])
        self.norm = nn.LayerNorm((width,))
        self.head = nn.Dense(width, len(fashion_mnist.CLASSES))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        x = ops.transpose(ops.reshape(x, self.patches), (0, 1, 3, 2, 4))
        x = self.embed(ops.reshape(x, self.flat)) + self.position
        return self.head(ops.mean(self.norm(self.blocks(x)), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=fashion_mnist.TRANSFORMER)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    ms.set_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)

    network = VisionTransformer()

    def make_optimizer(steps: int) -> nn.Optimizer:
        rates = one_cycle(arguments.peak_rate, steps)
        return nn.AdamWeightDecay(network.trainable_params(), rates, weight_decay=0.02)

    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    rows = train(network, make_optimizer, criterion, arguments.epochs, arguments.batch, random)
    write(network, arguments.output, rows, arguments.seed)


if __name__ == "__main__":
    main()
