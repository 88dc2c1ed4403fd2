"""From few images a resized network learns residual streams, which does it good on images it has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.data.samples import Samples
from inn_exporter.execution import forward
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import ContinuousNetwork, laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.training.residual_streams import FEW, FIRST, learn_streams, residual_sums, streams_share
from networks import Network, images
from places import RESNET20


def network_on(images: np.ndarray) -> ContinuousNetwork:
    graph = fold(import_onnx(RESNET20))
    return laid_out(*analyse(graph), {"x": images})


def calibrated(
    network: ContinuousNetwork, images: np.ndarray, refit: bool
) -> tuple[Calibration, CalibratedSize]:
    size = CalibratedSize(network.channels.widths(0.3), refit=refit)
    solver = Calibration(network, steps=0)
    (size,) = solver.run([size], {"x": images})
    return solver, size


@pytest.mark.slow
@pytest.mark.parametrize("refit", [False, True])
def test_streams_of_unseen_images_come_nearer_to_the_original(refit: bool, train: np.ndarray) -> None:
    seen, other = train[:96], train[96:]
    network = network_on(seen)
    solver, size = calibrated(network, seen, refit)
    sums = residual_sums(network.graph)
    assert len(sums) == 9
    stem = replace(network.graph, outputs=sums)
    before = {name: values.copy() for name, values in network.graph.constants.items()}
    wanted, discretisation = forward.run(stem, {"x": other}), size.discretisation(network.axes)
    target = {name: solver.targets.sampled(name, values, discretisation) for name, values in wanted.items()}

    def error() -> float:
        """Of all sums, relative."""
        found = forward.run(stem, {"x": other}, size.constants)
        return sum(np.square(found[n] - target[n]).sum() / np.square(target[n]).sum() for n in sums)

    at_first = error()
    samples = Samples({"x": seen})
    progress: list[float] = []
    size = learn_streams(
        network, solver, {0.3: size}, samples, samples, 32 * 40, 0, Samples({"x": other}), progress.append
    )[0.3]
    assert error() < 0.97 * at_first
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(1.0)
    for name, values in before.items():  # the control grids stay
        assert np.array_equal(network.graph.constants[name], values)
    judged = size.constants
    size = size.sampled(network)  # from what is stored
    for name, values in judged.items():
        assert np.array_equal(size.constants[name], values), name


@pytest.mark.slow
def test_what_does_other_images_harm_is_not_kept(train: np.ndarray) -> None:
    network = network_on(train)
    solver, size = calibrated(network, train, refit=True)
    before = {name: values.copy() for name, values in size.constants.items()}
    noise = Samples({"x": np.random.default_rng(0).random((32, 1, 28, 28), dtype=np.float32)})
    size = learn_streams(network, solver, {0.3: size}, noise, noise, 32 * 20, 0, Samples({"x": train}))[0.3]
    assert size.constants.keys() == before.keys()
    for name, values in before.items():
        assert np.array_equal(size.constants[name], values)


def test_fixed_layers_stay_and_the_others_are_calibrated_again(train: np.ndarray) -> None:
    network = network_on(train)
    solver, size = calibrated(network, train, refit=True)
    before = {name: values.copy() for name, values in size.constants.items()}
    *stem, last = network.graph.nodes
    negatives = {"x": 1 - train}
    (size,) = solver.run([size], negatives, fixed={node.output for node in stem})
    for name in size.constants:
        assert np.array_equal(size.constants[name], before[name]) == (name not in last.inputs), name


def test_a_branch_beside_the_streams_is_calibrated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is computed before the last sum, too: what it reads has moved."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 12))
    beside = n.conv(x, 12, 4)
    total = n.node("Add", x, n.conv(x, 12, 12))
    n.output(n.node("Concat", beside, n.conv(n.relu(total), 12, 4), axis=1), 4)
    inputs = {"x": images(96, 3, 8, 8)}
    graph = fold(import_onnx(n.model()))
    network = laid_out(*analyse(graph), inputs)
    solver, size = calibrated(network, inputs["x"], refit=False)
    before = dict(size.constants)
    samples = Samples(inputs)
    errors = iter((0.0, 1.0))  # what was learned is better than what was there
    monkeypatch.setattr("inn_exporter.training.residual_streams.error_of", lambda *_: next(errors))
    size = learn_streams(network, solver, {0.3: size}, samples, samples, 32 * 30, 0, samples)[0.3]
    bias = next(node for node in network.graph.nodes if node.output == beside).inputs[2]
    assert not np.array_equal(size.constants[bias], before[bias])


def test_residual_sums_are_sums_of_two_activations_with_positions() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 12))
    total = n.node("Add", x, n.conv(x, 12, 12))
    shifted = n.node("Add", n.relu(total), n.constant(np.ones((1, 12, 1, 1), np.float32)))
    flat = n.node("Flatten", n.node("GlobalAveragePool", shifted))
    n.output(n.node("Add", n.dense(flat, 12, 5), n.dense(flat, 12, 5)))
    assert residual_sums(fold(import_onnx(n.model()))) == [total]


def test_streams_come_first_and_alone_where_images_are_few() -> None:
    graph = fold(import_onnx(RESNET20))

    def samples(count: int, labels: np.ndarray | None = None) -> Samples:
        return Samples({"x": np.zeros((count, 1, 1, 1), np.float32)}, labels)

    assert streams_share(samples(FEW - 1), graph) == 1.0
    assert streams_share(samples(FEW), graph) == FIRST
    assert streams_share(samples(64, np.zeros(64, np.int64)), graph) == 0.0
    n = Network()
    n.output(n.conv(n.relu(n.conv(n.input(3, 8, 8), 3, 12)), 12, 4), 4)
    assert streams_share(samples(64), fold(import_onnx(n.model()))) == 0.0
