"""Distillation brings a resized network closer to the original, and stores what it learned."""

from __future__ import annotations

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
from inn_exporter.training.distill import distill
from inn_exporter.training.distill import train as learn
from inn_exporter.training.student import Student
from inn_runtime import UsageError
from networks import Network, images
from places import RESNET20
from scipy.special import log_softmax, softmax


@pytest.mark.slow
@pytest.mark.parametrize("refit", [False, True])
def test_distillation_lowers_the_error_and_keeps_the_control_grids(refit: bool, train: np.ndarray) -> None:
    graph = fold(import_onnx(RESNET20))
    graph, channels = analyse(graph)
    inputs = {"x": train}
    network = laid_out(graph, channels, inputs)
    graph = network.graph
    before = {name: values.copy() for name, values in graph.constants.items()}
    size = CalibratedSize(channels.widths(0.3), refit=refit)
    (size,) = Calibration(network, steps=0).run([size], inputs)
    target = forward.run(graph, inputs)[graph.outputs[0]]

    def error() -> float:
        """Mean divergence of the class scores."""
        output = forward.run(graph, inputs, size.constants)[graph.outputs[0]]
        return -float(np.mean(np.sum(softmax(target / 2, 1) * log_softmax(output / 2, 1), 1)))

    calibrated = error()
    size = distill(network, {0.3: size}, Samples(inputs), seen=32 * 60, seed=0)[0.3]
    assert error() < calibrated
    for name, values in before.items():
        assert np.array_equal(graph.constants[name], values)
    assert bool(size.corrections) == refit
    measured = size.constants
    size = size.sampled(network)  # from what is stored
    for name, values in measured.items():
        assert np.array_equal(size.constants[name], values), name


@pytest.mark.slow
def test_labels_are_learned_beside_the_original(train: np.ndarray) -> None:
    graph = fold(import_onnx(RESNET20))
    graph, channels = analyse(graph)
    network = laid_out(graph, channels, {"x": train})
    graph = network.graph
    said = forward.run(graph, {"x": train})[graph.outputs[0]].argmax(1)
    labels = (said + 1) % 10  # the original never says these

    def mean_score(given: np.ndarray | None) -> float:
        """Mean log-likelihood of the labels after a short distillation."""
        size = CalibratedSize(channels.widths(0.3), refit=True)
        (size,) = Calibration(network, steps=0).run([size], {"x": train})
        size = distill(network, {0.3: size}, Samples({"x": train}, given), seen=32 * 20, seed=0)[0.3]
        output = forward.run(graph, {"x": train}, size.constants)[graph.outputs[0]]
        return float(log_softmax(output, 1)[np.arange(len(labels)), labels].mean())

    assert mean_score(labels) > mean_score(None) + 0.5


@pytest.mark.slow
def test_a_rate_that_does_harm_is_lowered(train: np.ndarray) -> None:
    graph = fold(import_onnx(RESNET20))
    network = laid_out(*analyse(graph), {"x": train}, "given")
    (scores,) = forward.run(network.graph, {"x": train}).values()
    size = CalibratedSize(network.channels.widths(0.3), refit=True)
    (size,) = Calibration(network, steps=0).run([size], {"x": train})

    def batch(chosen: np.ndarray) -> list[np.ndarray]:
        return [train[chosen], scores[chosen]]

    def distilled(*rates: float) -> dict[str, np.ndarray]:
        student = Student(network, size, {"x": train})
        done = list(learn(student, batch, len(train), 32 * 15, 0, rates))
        assert done[-1] == 1.0
        assert (done == sorted(done)) == (len(rates) == 1)  # it starts anew
        return {learned.parameter.name: learned.parameter.asnumpy() for learned in student.learned}

    found, expected = distilled(1.0, 0.01), distilled(0.01)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_helps_on_its_own_images_alone_is_not_kept(train: np.ndarray) -> None:
    graph = fold(import_onnx(RESNET20))
    network = laid_out(*analyse(graph), {"x": train})
    noise = Samples({"x": np.random.default_rng(0).random((32, 1, 28, 28), dtype=np.float32)})

    def keeps_its_calibration(held_out: Samples | None) -> bool:
        size = CalibratedSize(network.channels.widths(0.3), refit=True)
        (size,) = Calibration(network, steps=0).run([size], {"x": train})
        before = {name: values.copy() for name, values in size.constants.items()}
        size = distill(network, {0.3: size}, noise, seen=32 * 20, seed=0, held_out=held_out)[0.3]
        return all(np.array_equal(values, before[name]) for name, values in size.constants.items())

    assert not keeps_its_calibration(None)
    assert keeps_its_calibration(Samples({"x": train}))


def test_class_scores_are_learned_where_the_network_ends_in_their_softmax() -> None:
    """What is learned is the same with a softmax at the end as without."""
    inputs = {"x": images(64, 3, 8, 8)}

    def distilled(ends_in_softmax: bool) -> dict[str, np.ndarray]:
        n = Network()
        x = n.relu(n.conv(n.input(3, 8, 8), 3, 12))
        scores = n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 12, 5)
        n.output(n.node("Softmax", scores, axis=-1) if ends_in_softmax else scores)
        graph = fold(import_onnx(n.model()))
        network = laid_out(*analyse(graph), inputs)
        size = CalibratedSize(network.channels.widths(0.3), refit=True)
        (size,) = Calibration(network, steps=0).run([size], inputs)
        before = {name: values.copy() for name, values in size.constants.items()}
        size = distill(network, {0.3: size}, Samples(inputs), seen=32 * 20, seed=0)[0.3]
        assert any(not np.array_equal(values, before[name]) for name, values in size.constants.items())
        return size.constants

    for found, expected in zip(distilled(True).values(), distilled(False).values()):
        np.testing.assert_array_equal(found, expected)


def test_labels_must_fit_the_network(train: np.ndarray) -> None:
    graph = fold(import_onnx(RESNET20))
    samples = Samples({"x": train}, np.full(len(train), 10))
    with pytest.raises(UsageError, match="labels: expected 0 to 9, found 10 to 10"):
        distill(ContinuousNetwork(*analyse(graph), []), {}, samples, seen=32, seed=0)
