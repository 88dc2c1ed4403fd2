"""What a student learned is stored in few bits."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.backend import tensor
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.execution import forward
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import ContinuousNetwork, laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.training.student import Student
from networks import Network, images


def taught(refit: bool) -> tuple[ContinuousNetwork, dict[str, np.ndarray], Student, np.ndarray]:
    """A network, inputs, a student whose values are no multiples of anything, and its scores."""
    n = Network()
    x = n.input(3, 8, 8)
    for before, after in ((3, 24), (24, 24), (24, 24)):
        x = n.relu(n.conv(x, before, after))
    n.output(n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 24, 5))
    inputs = {"x": images(64, 3, 8, 8) + 1}
    graph = fold(import_onnx(n.model()))
    network = laid_out(*analyse(graph), inputs)
    size = CalibratedSize(network.channels.widths(0.5), refit=refit)
    (size,) = Calibration(network).run([size], inputs)
    student = Student(network, size, inputs)
    random = np.random.default_rng(0)
    for learned in student.learned:
        moved = learned.parameter.asnumpy() * random.uniform(0.9, 1.1, learned.parameter.shape)
        learned.parameter.set_data(tensor(moved.astype(np.float32)))
    (scores,) = forward.outputs(network.graph, [tensor(inputs["x"])], student.constant)
    return network, inputs, student, scores.asnumpy()


@pytest.mark.parametrize("refit", [False, True])
def test_biases_make_up_for_the_rounding_of_kernels_and_tables(refit: bool) -> None:
    network, inputs, student, exact = taught(refit)
    found, _ = student.rounded([inputs["x"], exact])
    output = forward.run(network.graph, inputs, found.constants)[network.graph.outputs[0]]
    assert 0 < np.abs(output - exact).max() < 0.5 * exact.std(0).min()
    np.testing.assert_allclose(output.mean(0), exact.mean(0), atol=1e-4)


def test_bits_are_as_few_as_keep_the_loss() -> None:
    _, inputs, student, exact = taught(refit=True)
    judged = [inputs["x"], exact + 0.3 * exact.std(0) * images(*exact.shape)]  # so that there is a loss
    sizes, loss = [], student.error(judged)
    for allowed in (1e-6, 0.001, 0.05, 100.0):
        found, error = student.rounded(judged, allowed)
        assert error <= (1 + allowed) * loss
        sizes.append(sum(c.nbytes for c in found.corrections.values() if c.read().any()))
    assert sizes[0] > sizes[2] > sizes[3]
    assert sizes == sorted(sizes, reverse=True)
