"""Tuning: every size learns, the full one included; runs resume, and two processes do what one does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
from inn_exporter import export, from_cell
from inn_exporter.backend import mindspore, tensor
from inn_exporter.bundling.onnx_writer import resized_constants
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.cli import export_command
from inn_exporter.data.samples import Samples
from inn_exporter.execution import forward
from inn_exporter.execution.divergence import output_divergence
from inn_exporter.graph.graph import Graph
from inn_exporter.graph.outputs import output_kinds
from inn_exporter.importers import import_onnx
from inn_exporter.integral import (
    ContinuousAxis,
    IntegralConv2d,
    IntegralConvNorm2d,
    IntegralDense,
)
from inn_exporter.ordering.continuous import ContinuousNetwork, laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.lower import lower
from inn_exporter.training import Tuning, TuningError, tune
from inn_exporter.training.partitions import tune_partitions
from inn_runtime import UsageError
from inn_runtime.format.axis import Grid
from inn_runtime.sampling.plan import round_width
from networks import Network
from onnx import ModelProto

SIZES = (0.3, 0.6)


@pytest.fixture(scope="module")
def labelled(fashion: tuple[np.ndarray, np.ndarray]) -> Samples:
    """1,000 labelled images of Fashion-MNIST, at half resolution."""
    images, labels = fashion
    return Samples({"x": np.ascontiguousarray(images[:1000, :, ::2, ::2])}, labels[:1000])


def model() -> ModelProto:
    """Three convolutions, untrained."""
    net = Network()
    x = net.input(1, 14, 14)
    for inputs, outputs in ((1, 8), (8, 16), (16, 16)):
        x = net.node("Relu", net.conv(x, inputs, outputs, strides=[2, 2]))
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    net.output(net.node("Gemm", x, net.weight(10, 16), net.weight(10), transB=1))
    return net.model()


Prepared = tuple[ContinuousNetwork, dict[float, CalibratedSize]]


def prepare(samples: Samples, order: str = "nested") -> Prepared:
    """The network, ordered and calibrated."""
    graph = fold(import_onnx(model()))
    graph, channels = analyse(graph)
    inputs = {"x": samples.inputs["x"][:128]}
    quadrature = "calibrated" if order == "nested" else "trapezoid"
    network = laid_out(graph, channels, inputs, order, quadrature)
    sizes = {s: CalibratedSize(channels.widths(s)) for s in SIZES}
    if order != "nested":
        return network, {}
    calibrated = Calibration(network).run(list(sizes.values()), inputs)
    return network, dict(zip(sizes, calibrated))


def right(graph: Graph, samples: Samples, constants: dict[str, np.ndarray] | None = None) -> float:
    found = forward.run(graph, samples.inputs, constants)[graph.outputs[0]]
    assert samples.labels is not None
    return float((found.argmax(1) == samples.labels).mean())


def test_all_sizes_learn_labels_together(labelled: Samples) -> None:
    network, sizes = prepare(labelled)
    tables = {s: {q: t.read() for q, t in found.tables.items()} for s, found in sizes.items()}
    tuning = Tuning(seen=16_000, batch=64, rate=3e-3, sizes=2)
    tuned, after, log = tune(network, sizes, labelled, tuning)
    assert right(network.graph, labelled) < 0.3 < 0.6 < right(tuned.graph, labelled)
    for size, found in after.items():
        assert right(tuned.graph, labelled, found.constants) > 0.55
        assert all(np.array_equal(t.read(), tables[size][q]) for q, t in found.tables.items())
    assert set(log[-1]["loss"]) == {"1", "0.3", "0.6"}
    assert log[-1]["loss"]["0.3"] < log[0]["loss"]["0.3"]


def test_without_labels_sizes_come_closer_to_the_original(labelled: Samples) -> None:
    network, sizes = prepare(labelled)
    graph = network.graph
    unlabelled = Samples(labelled.inputs)
    name = graph.outputs[0]
    original = forward.run(graph, labelled.inputs)[name]

    def error(sizes: dict[float, CalibratedSize]) -> float:
        found = forward.run(graph, labelled.inputs, sizes[0.3].constants)[name]
        return float(((found - original) ** 2).mean())

    tuned = tune(network, sizes, unlabelled, Tuning(seen=8_000, batch=50, mirror=True, rate=2e-3))
    assert error(tuned.sizes) < 0.8 * error(sizes)


def test_random_sizes_are_tuned_by_the_rule(labelled: Samples) -> None:
    network, _ = prepare(labelled, "smooth")
    tuning = Tuning(seen=12_800, batch=64, rate=3e-3, most=1.5)
    tuned, _, log = tune(network, {}, labelled, tuning)
    assert right(tuned.graph, labelled) > 0.55
    assert {"1", "0.3+", "0.7+", "1.2+"} <= {name for row in log for name in row["loss"]}


def test_depthwise_kernels_are_stored_as_they_were_tuned(labelled: Samples) -> None:
    """Calibration refits them for each size; tuning changes the grids, and runs without what was refitted."""
    net = Network()
    x = net.relu(net.conv(net.input(1, 14, 14), 1, 8))
    x = net.relu(net.conv(net.relu(net.conv(x, 8, 8, group=8)), 8, 8))
    net.output(net.dense(net.node("Flatten", net.node("GlobalAveragePool", x)), 8, 10))
    graph = fold(import_onnx(net.model()))
    network = laid_out(*analyse(graph), labelled.inputs)
    size = CalibratedSize(network.channels.widths(0.5))
    (size,) = Calibration(network).run([size], labelled.inputs)
    (kernel,) = size.corrections
    tuned, sizes, _ = tune(network, {0.5: size}, labelled, Tuning(seen=640, batch=64))
    after = sizes[0.5]
    sampled = tuned.constant(kernel, size.discretisation(tuned.axes))
    np.testing.assert_array_equal(after.constants[kernel], sampled)
    assert not after.corrections


class _StopError(Exception):
    pass


def test_interrupted_runs_end_as_if_they_had_not_been(labelled: Samples, tmp_path: Path) -> None:
    tuning = Tuning(seen=1_280, batch=64, rate=1e-3, mirror=True)
    whole = tune(*prepare(labelled), labelled, tuning).network
    path = tmp_path / "run.safetensors"

    def stop(done: float) -> None:
        if done > 0.5:
            raise _StopError

    with pytest.raises(_StopError):
        tune(*prepare(labelled), labelled, tuning, checkpoint=path, progress=stop)
    done: list[float] = []
    resumed = tune(*prepare(labelled), labelled, tuning, checkpoint=path, progress=done.append).network
    assert done[0] > 0.5
    for name, values in whole.graph.constants.items():
        np.testing.assert_allclose(resumed.graph.constants[name], values, atol=2e-3)
    with pytest.raises(UsageError, match="another run: tuning: expected"):
        tune(*prepare(labelled), labelled, Tuning(seen=640), checkpoint=path)
    path.write_bytes(b"no")
    with pytest.raises(UsageError, match="not a tuning checkpoint"):
        tune(*prepare(labelled), labelled, tuning, checkpoint=path)


def test_it_stops_early_at_the_best_and_says_so_in_the_log(labelled: Samples) -> None:
    prepared = prepare(labelled)
    tuning = Tuning(seen=3_840, batch=64, rate=0.3, patience=2)  # far too fast to get better
    log = tune(*prepared, labelled, tuning).log
    assert len(log) < 20
    assert all(row["held_out"] > 0 for row in log)


def test_a_loss_that_is_no_number_names_step_and_size(labelled: Samples, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    tuning = Tuning(seen=1_280, batch=64, rate=1e30)
    with pytest.raises(TuningError, match=rf"the loss of size \S+ is \w+ at step \d+ of 20; {path} is kept"):
        tune(*prepare(labelled), labelled, tuning, checkpoint=path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.arange(1000), "labels: expected 0 to 9, found 0 to 999"), (-np.ones(1000, int), "found -1 to -1")],
)
def test_labels_must_fit(labelled: Samples, labels: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tune(*prepare(labelled), Samples(labelled.inputs, labels), Tuning(seen=64, batch=64))


@pytest.mark.parametrize("change", [{"seen": 0}, {"batch": -1}, {"rate": 0.0}, {"most": float("nan")}])
def test_tuning_options_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"tuning: {next(iter(change))}: expected a number above 0"):
        Tuning(**change)


@pytest.mark.parametrize("change", [{"least": 1.1}, {"most": 0.9}, {"most": 1.6}])
def test_sizes_drawn_are_around_the_full_one(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"expected least up to 1 and most from 1 to 1\.5, found"):
        Tuning(**change)


# ---------------------------------------------------------------------- into the bundle
def test_a_tuned_bundle_is_what_was_tuned(labelled: Samples, tmp_path: Path) -> None:
    path = tmp_path / "tuned.inn"
    data = {"x": labelled.inputs["x"], "labels": labelled.labels}
    bundle = export(
        model(),
        path,
        data,
        evaluate=data,
        tune=data,
        tuning=Tuning(seen=12_800, batch=64, rate=3e-3),
        sizes=SIZES,
    )
    measured = {size.size: size.measured["accuracy"] for size in bundle.manifest.sizes}
    assert min(measured.values()) > 0.5
    assert bundle.manifest.is_calibrated


def test_tuned_partitions_bring_the_outputs_closer(labelled: Samples) -> None:
    network, _ = prepare(labelled, "smooth")
    graph, widths = network.graph, network.channels.widths(0.5)
    original = forward.run(graph, labelled.inputs)

    def error(grids: dict[int, Grid]) -> float:
        size = CalibratedSize(widths, grids=grids).discretisation(network.axes)
        constants = {name: network.constant(name, size) for name in graph.constants}
        return output_divergence(
            forward.run(graph, labelled.inputs, constants), original, output_kinds(graph)
        )

    tuning = Tuning(seen=3_200, batch=64, rate=1e-2, partitions=True)
    found = tune_partitions(network, widths, Samples(labelled.inputs), tuning)
    assert error(found) < 0.5 * error({})


def test_partitions_are_tuned_alone_and_stored(labelled: Samples, tmp_path: Path) -> None:
    data = {"x": labelled.inputs["x"], "labels": labelled.labels}
    trained = tmp_path / "trained.inn"
    options: dict[str, Any] = {"quadrature": "trapezoid", "sizes": (0.5,), "storage": "float32"}
    before = export(model(), trained, data, evaluate=data, **options)
    after = export(
        model(),
        tmp_path / "partitions.inn",
        data,
        evaluate=data,
        tune=labelled.inputs,
        tuning=Tuning(seen=1_280, batch=64, rate=1e-2, partitions=True),
        **options,
    )
    size = after.manifest.sizes[0]
    assert sorted(size.grids) == [0, 1, 2]
    grid = after.tensor(size.grids[1])
    assert not np.allclose(np.diff(grid[0]), np.diff(grid[0])[0], rtol=0.01)
    assert grid[1].sum() == pytest.approx(15, rel=1e-5)
    for name in before.manifest.weights:
        key = f"weight/{name.name}"
        np.testing.assert_array_equal(after.tensor(key), before.tensor(key))


class _Net(mindspore().nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        first, second = ContinuousAxis(8), ContinuousAxis(12)
        self.axes = (first, second)
        self.first = IntegralConvNorm2d(1, first, 3, padding=1, seed=0)
        self.second = IntegralConv2d(first, second, 3, stride=2, padding=1, seed=1)
        self.head = IntegralDense(second, 10, seed=2)

    def construct(self, x: Any) -> Any:
        x = mindspore().ops.relu(self.first(x))
        x = mindspore().ops.relu(self.second(x))
        return self.head(mindspore().ops.mean(x, (2, 3)))


def test_trained_integral_layers_become_a_bundle_that_computes_the_same(
    tmp_path: Path, labelled: Samples
) -> None:
    net, images = _Net(), labelled.inputs["x"][:64]
    net.set_train()
    for _ in range(5):
        net(tensor(images))  # moving averages
    net.set_train(False)
    options: dict[str, Any] = {"quadrature": "trapezoid", "order": "given", "storage": "float32"}
    bundle = export(from_cell(net, images[:1]), tmp_path / "net.inn", images, sizes=(0.5,), **options)
    graph = fold(import_onnx(from_cell(net, images[:1])))
    layouts = {w.name: w.permutation for w in lower(graph, analyse(graph)[1].dims).weights}
    for size in (0.3, 0.75, 1.0, 1.5):
        for axis, group in zip(net.axes, bundle.manifest.groups):
            assert axis.size == group.axis.size
            axis.resize(round_width(size, axis.size, 1))
        constants = resized_constants(bundle.resample(size), layouts)
        (found,) = forward.run(graph, {graph.inputs[0]: images}, constants).values()
        np.testing.assert_allclose(found, net(tensor(images)).asnumpy(), atol=1e-5)


def test_what_is_no_cell_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a mindspore\.nn\.Cell, found int"):
        from_cell(3, np.zeros(1))
    with pytest.raises(UsageError, match="an input for each argument"):
        from_cell(_Net())

    class Branching(mindspore().nn.Cell):
        def construct(self, x: Any) -> Any:
            return sorted(x)

    with pytest.raises(UsageError, match="Branching: MindSpore cannot write it as ONNX: "):
        from_cell(Branching(), np.zeros((2, 3), np.float32))


TWO = """
import sys
import numpy as np
from inn_exporter import export
from inn_exporter import Tuning
with np.load(sys.argv[1]) as file:
    data = dict(file)
export(sys.argv[2], sys.argv[3], data, evaluate=data, tune=data, sizes=(0.5,), storage="float32",
       tuning=Tuning(seen=640, batch=64, rate=1e-3))
"""


def test_two_processes_tune_as_one_does(labelled: Samples, tmp_path: Path) -> None:
    launcher = shutil.which("msrun") or shutil.which("msrun", path=str(Path(sys.executable).parent))
    if launcher is None:
        pytest.skip("msrun is not installed")
    (tmp_path / "net.onnx").write_bytes(model().SerializeToString())
    np.savez(tmp_path / "data.npz", x=labelled.inputs["x"], labels=labelled.labels)
    (tmp_path / "two.py").write_text(TWO)
    arguments = [str(tmp_path / name) for name in ("two.py", "data.npz", "net.onnx")]
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    port = 8600 + os.getpid() % 1000
    msrun = [launcher, "--worker_num=2", "--local_worker_num=2", f"--master_port={port}", "--join=True"]
    for command in (
        [sys.executable, *arguments, str(tmp_path / "one.inn")],
        [*msrun, f"--log_dir={tmp_path / 'log'}", *arguments, str(tmp_path / "both.inn")],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
    one, both = (inn.open(tmp_path / name) for name in ("one.inn", "both.inn"))
    for weight in one.manifest.weights:
        key = f"weight/{weight.name}"
        np.testing.assert_allclose(both.tensor(key), one.tensor(key), atol=1e-4)


def test_the_command_has_tuning_options() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    export_command(parser.add_subparsers())
    command = ["export", "m.onnx", "--calibrate", "c.npz", "-o", "m.inn", "--tune", "t.npz", "--seen", "9"]
    assert parser.parse_args(command).seen == 9
