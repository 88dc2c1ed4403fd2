"""The paper's experiments at the scale of two cores, through MindSpore Lite.

    python -m benchmarks.studies.paper resnet nin vgg srcnn                # Table 1 and Figure 1
    python -m benchmarks.studies.paper resnet --methods partitions "partitions, unordered"        # Table 2
    python -m benchmarks.studies.paper resnet20 --tuned 300000 --seen 300000         # tuning with labels

The networks are those of ``networks/integral_networks.py``.
Trains each network as an ordinary one and as an integral network from scratch (every step the full size and a
random one), converts the ordinary one, tunes the conversion, and measures all at several sizes. Adds to
``benchmarks/results/paper.json``; trained networks stay in ``out/paper`` and are used again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inn_exporter
import inn_runtime
import numpy as np
import onnx
from inn_exporter import Tuning
from inn_runtime.cli.table import format_table
from inn_runtime.sampling.plan import round_width
from PIL import Image
from rich.progress import track

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.harness.scoring import scores, value_of
from benchmarks.networks import fashion_mnist, skimage_photos
from benchmarks.networks.integral_networks import NETWORKS, ms, ops
from benchmarks.networks.resnet20 import WIDTHS, ResNet20
from benchmarks.networks.training import flipped, one_cycle

OUT = Path("out/paper")
SIZES = (0.3, 0.5, 0.7, 0.85)
SIZES_OF = {"resnet20": (0.25, 0.3, 0.4, 0.5, 0.7)}
BATCH = 128
LEAST = 0.3
CLIP = 5.0
"""Norm of the gradient: an integral network's first steps are rough."""
TRAPEZOID: dict[str, Any] = {"quadrature": "trapezoid"}
METHODS: dict[str, dict[str, Any]] = {
    "l1": {"quadrature": "none"},
    "l1+bn": {"quadrature": "rescaled"},
    "inn": TRAPEZOID,
    "calibrated": {"effort": "fast"},
    "refit": {"effort": "refit"},
    "inn-from-scratch": {**TRAPEZOID, "order": "given"},
    "inn, tuned": {**TRAPEZOID, "tuning": {}},
    "inn, tuned to 1.5": {**TRAPEZOID, "tuning": {"least": 0.7, "most": 1.5}},
    "tuned": {"tuning": {}},
    "tuned+calibrated": {"after": "tuned", "effort": "refit"},
    "distilled, labels": {"effort": "distill", "tuning": {}},
    "partitions": {**TRAPEZOID, "tuning": {"partitions": True}},
    "partitions, unordered": {**TRAPEZOID, "order": "given", "tuning": {"partitions": True}},
    "alone": {},
}
USUAL = ("l1", "l1+bn", "inn", "calibrated", "refit", "inn-from-scratch", "inn, tuned", "tuned")
USUAL_OF = {"resnet20": ("tuned", "tuned+calibrated", "distilled, labels", "alone")}


@dataclass(frozen=True)
class Task:
    """Data, and how outputs are judged.

    Attributes
    ----------
    train, test : inputs, (n, …)
    targets : of the training inputs: labels, or arrays
    judge : outputs for ``test`` → per image right (1) or wrong (0), or the mean squared error
    """

    train: np.ndarray
    targets: np.ndarray
    test: np.ndarray
    metric: str
    judge: Callable[[np.ndarray], np.ndarray]
    loss: Callable[[ms.Tensor, ms.Tensor], ms.Tensor]
    mirror: bool

    def value(self, judged: np.ndarray) -> float:
        return value_of(self.metric, judged)

    def shown(self, judged: np.ndarray) -> str:
        return f"{self.value(judged) * (100 if self.metric == 'accuracy' else 1):.2f}"


def fashion() -> Task:
    """Fashion-MNIST, all of it."""
    train, labels = fashion_mnist.load("train")
    test, truth = fashion_mnist.load("test")
    return Task(
        train,
        labels.astype(np.int32),
        test,
        "accuracy",
        lambda logits: (logits.argmax(1) == truth).astype(np.float64),
        ops.cross_entropy,
        True,
    )


def super_resolution() -> Task:
    """Tiles of 32 x 32 of scikit-image's photos: some to train on, the everyday ones to judge by."""
    (train, targets), (test, truth) = (
        _tiles(skimage_photos.read(names)) for names in (skimage_photos.OTHER_PHOTOS, skimage_photos.PHOTOS)
    )
    return Task(
        train,
        targets,
        test,
        "psnr",
        lambda found: np.square(np.clip(found, 0, 1) - truth).mean((1, 2, 3), np.float64),
        lambda output, target: 1000 * ops.mean((output - target) ** 2),
        True,
    )


def _tiles(photos: list[Image.Image], tile: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Luminance at half the resolution, enlarged again, and as it was; (n, 1, tile, tile) each."""
    low, high = [], []
    for photo in photos:
        grey = photo.convert("L")
        grey = grey.crop((0, 0, grey.width // tile * tile, grey.height // tile * tile))
        small = grey.resize((grey.width // 2, grey.height // 2), Image.Resampling.BICUBIC)
        for image, tiles in ((small.resize(grey.size, Image.Resampling.BICUBIC), low), (grey, high)):
            pixels = np.asarray(image, np.float32) / 255
            split = pixels.reshape(grey.height // tile, tile, -1, tile).transpose(0, 2, 1, 3)
            tiles.append(split.reshape(-1, 1, tile, tile))
    return np.concatenate(low), np.concatenate(high)


def train(network: ms.nn.Cell, task: Task, seen: int, integral: bool, seed: int) -> None:
    """One cycle of the rate, by Nesterov momentum or, for super-resolution, Adam; an integral network also
    runs at a random size."""
    random = np.random.default_rng(seed)
    steps = seen // BATCH
    network.set_train()
    parameters = network.trainable_params()
    if task.metric == "accuracy":
        rates = one_cycle(0.05 if integral else 0.15, steps)
        optimiser = ms.nn.SGD(parameters, rates, momentum=0.9, nesterov=True, weight_decay=5e-4)
    else:
        optimiser = ms.nn.Adam(parameters, one_cycle(2e-3, steps))

    def loss(x: ms.Tensor, target: ms.Tensor, size: float | None) -> ms.Tensor:
        value = task.loss(network(x), target)
        if size is not None:
            network.resize(size)
            value = value + task.loss(network(x), target)
            network.resize(1.0)
        return value

    gradient = ms.value_and_grad(loss, None, optimiser.parameters)
    order = np.concatenate([random.permutation(len(task.train)) for _ in range(-(-seen // len(task.train)))])
    for step in track(range(steps), f"training {type(network).__name__}", transient=True):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        x, target = task.train[chosen], task.targets[chosen]
        if target.ndim == 1:
            x = flipped(x, random)
        size = random.uniform(LEAST, 1.0) if integral else None
        if step < steps // 20:  # moving averages settle
            size = None
        value, gradients = gradient(ms.Tensor(np.ascontiguousarray(x)), ms.Tensor(target), size)
        if not np.isfinite(float(value.asnumpy())):
            raise SystemExit(f"the loss is {value} at step {step + 1}")
        optimiser(ops.clip_by_global_norm(gradients, CLIP))


def trained(
    name: str, task: Task, seen: int, seed: int, integral: bool = False, size: float | None = None
) -> Path:
    """The network as ONNX, trained unless it has been; ``size``: a ResNet-20 of that width, on its own."""
    if name == "resnet20" and size is None:
        return fashion_mnist.RESNET20
    variant = f"-{size:g}" if size else "-integral" * integral
    path = OUT / f"{name}{variant}-{seen}-{seed}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if size is None:
            network = NETWORKS[name](seed, integral)
        else:
            ms.set_seed(seed)
            widths = tuple(round_width(size, width, 1) for width in WIDTHS)
            network = ResNet20(len(fashion_mnist.CLASSES), widths)
        start = time.perf_counter()
        train(network, task, seen, integral, seed)
        onnx.save(inn_exporter.from_cell(network, task.test[:1]), path)
        print(f"{path}: {time.perf_counter() - start:.0f} s", flush=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("networks", nargs="+", choices=[*NETWORKS, "resnet20"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD")
    parser.add_argument("--seen", type=int, default=240_000, help="images that each training sees")
    parser.add_argument("--tuned", type=int, default=120_000, help="images that each tuning sees")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "paper.json")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks:
        task = super_resolution() if name == "srcnn" else fashion()
        table = measure(name, task, arguments)
        print(f"\n{name}: {task.metric} on {len(task.test)} images\n")
        sizes = [f"{size:g}" for size in SIZES_OF.get(name, SIZES)]
        header = ["method", "full", *sizes, "1.5"][: len(table[0])]
        print(format_table(header, table), flush=True)


def measure(name: str, task: Task, arguments: argparse.Namespace) -> list[list[str]]:
    """All methods of one network."""
    results = Results("fashion-resnet20" if name == "resnet20" else f"paper-{name}", arguments.seed)
    table = []
    methods = arguments.methods or USUAL_OF.get(name, USUAL)
    calibrated = SIZES_OF.get(name, SIZES)
    chosen = np.random.default_rng(arguments.seed).permutation(len(task.train))
    held_out, pool = {"x": task.train[chosen[:500]]}, {"x": task.train[chosen[500:]]}
    for method in methods:
        options = dict(METHODS[method])
        if method == "alone":
            table.append(_alone(name, task, arguments, results))
            results.write(arguments.output, keep_others=True)
            continue
        scratch = method == "inn-from-scratch"
        path: Path | onnx.ModelProto = trained(name, task, arguments.seen, arguments.seed, scratch)
        if (before := options.pop("after", None)) is not None:
            tuned = inn_runtime.open(_bundle(name, before))
            path = onnx.load_from_string(inn_exporter.export_onnx(tuned, 1.0))
        start = time.perf_counter()
        if (tuning := options.pop("tuning", None)) is not None:
            options["tuning"] = _tuning(tuning, task, arguments)
            if "partitions" not in tuning and options.get("effort") != "distill":
                options["checkpoint"] = OUT / f"{name}-{method.replace(', ', '-')}.checkpoint"
            labels = {"labels": task.targets[chosen[500:]]} if task.metric == "accuracy" else {}
            options["tune"] = {**pool, **labels}
        bundle = inn_exporter.export(
            path,
            _bundle(name, method),
            pool,
            evaluate=held_out,
            sizes=calibrated,
            images=512,
            seed=arguments.seed,
            progress=True,
            **options,
        )
        seconds = time.perf_counter() - start
        cells = []
        for size in (1.0, *calibrated, *([1.5] if "inn" in method else [])):
            model = bundle.resample(size)
            judged = task.judge(scores(bundle, size, task.test, f"{size:g}"))
            results.add(
                method,
                size,
                task.metric,
                task.value(judged),
                len(task.test),
                macs=model.macs,
                parameters=model.parameters,
            )
            cells.append(task.shown(judged))
        seen = arguments.seen if scratch else arguments.tuned if tuning is not None else 0
        results.add(method, 1.0, "export_seconds", seconds, 1, seen=seen)
        table.append([method, *cells])
        print(f"{method}: {', '.join(cells)} ({seconds:.0f} s)", flush=True)
        results.write(arguments.output, keep_others=True)
    columns = max(map(len, table))
    return [row + [""] * (columns - len(row)) for row in table]


def _tuning(options: dict[str, Any], task: Task, arguments: argparse.Namespace) -> Tuning:
    mirror = task.mirror and task.metric == "accuracy"
    return Tuning(seen=arguments.tuned, mirror=mirror, seed=arguments.seed, **options)


def _bundle(name: str, method: str) -> Path:
    return OUT / f"{name}-{method.replace(', ', '-')}.inn"


def _alone(name: str, task: Task, arguments: argparse.Namespace, results: Results) -> list[str]:
    """Networks of the sizes' widths, each trained for itself."""
    cells = [""]
    for size in SIZES_OF.get(name, SIZES):
        path = trained(name, task, arguments.seen, arguments.seed, size=size)
        bundle = inn_exporter.export(
            path, OUT / "alone.inn", task.train[:64], quadrature="none", sizes=(1.0,)
        )
        judged = task.judge(scores(bundle, 1.0, task.test, f"alone {size:g}"))
        results.add("alone", size, task.metric, task.value(judged), len(task.test))
        cells.append(task.shown(judged))
    print(f"alone: {', '.join(cells)}", flush=True)
    return ["alone", *cells]


if __name__ == "__main__":
    main()
