"""Training a network on Fashion-MNIST in MindSpore, and writing it as ONNX beside a log of the training.

The log is JSON: command, seed, versions, one row per epoch.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

# oneDNN's AVX-512 path falls back to its reference convolution in this wheel: 30 times slower.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

import mindspore as ms
import numpy as np
from mindspore import nn

from benchmarks.harness.results import command
from benchmarks.networks import fashion_mnist


def one_cycle(peak: float, steps: int, warm_up: float = 0.25) -> list[float]:
    """Learning rate of every step: a linear rise to ``peak``, then a cosine to zero."""
    rise = int(steps * warm_up)
    return [
        peak * (i + 1) / rise
        if i < rise
        else peak * 0.5 * (1 + math.cos(math.pi * (i - rise) / (steps - rise)))
        for i in range(steps)
    ]


def flipped(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirror a random half of the images left to right."""
    mirror = random.random(len(images)) < 0.5
    return np.where(mirror[:, None, None, None], images[..., ::-1], images)


def accuracy(network: nn.Cell, images: np.ndarray, labels: np.ndarray, batch: int = 500) -> float:
    network.set_train(False)
    right = sum(
        int((network(ms.Tensor(images[i : i + batch])).asnumpy().argmax(1) == labels[i : i + batch]).sum())
        for i in range(0, len(images), batch)
    )
    network.set_train(True)
    return right / len(images)


def train(
    network: nn.Cell,
    make_optimizer: Callable[[int], nn.Optimizer],
    criterion: Callable[[ms.Tensor, ms.Tensor], ms.Tensor],
    epochs: int,
    batch: int,
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    """Train on all images, half of them mirrored; a row of the log for each epoch.

    Parameters
    ----------
    make_optimizer : the number of steps → what takes them
    """
    images, labels = fashion_mnist.load("train")
    test_images, test_labels = fashion_mnist.load("test")
    steps = len(images) // batch
    network.set_train()
    optimizer = make_optimizer(epochs * steps)

    def loss(x: ms.Tensor, y: ms.Tensor) -> ms.Tensor:
        return criterion(network(x), y)

    gradient = ms.value_and_grad(loss, None, optimizer.parameters)

    @ms.jit
    def step(x: ms.Tensor, y: ms.Tensor) -> ms.Tensor:
        value, gradients = gradient(x, y)
        optimizer(gradients)
        return value

    rows = []
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        order = random.permutation(len(images))
        total = 0.0
        for index in range(steps):
            chosen = order[index * batch : (index + 1) * batch]
            x = np.ascontiguousarray(flipped(images[chosen], random))
            total += float(step(ms.Tensor(x), ms.Tensor(labels[chosen].astype(np.int32))).asnumpy())
            if index % 50 == 49:
                print(f"epoch {epoch} step {index + 1}/{steps} loss {total / (index + 1):.4f}", flush=True)
        row = {
            "epoch": epoch,
            "train_loss": round(total / steps, 4),
            "test_accuracy": accuracy(network, test_images, test_labels),
            "minutes": round((time.perf_counter() - start) / 60, 1),
        }
        rows.append(row)
        print(row, flush=True)
    return rows


def write(network: nn.Cell, output: Path, rows: list[dict[str, Any]], seed: int) -> None:
    """The trained network as ONNX, and beside it the log."""
    test_images, _ = fashion_mnist.load("test")
    network.set_train(False)
    output.parent.mkdir(parents=True, exist_ok=True)
    ms.export(network, ms.Tensor(test_images[:1]), file_name=str(output), file_format="ONNX")
    output.chmod(0o644)
    log = {
        "command": command(),
        "seed": seed,
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            "mindspore": ms.__version__,
            "numpy": np.__version__,
        },
        "n": len(test_images),
        "rows": rows,
    }
    output.with_suffix(".training.json").write_text(json.dumps(log, indent=1) + "\n")
