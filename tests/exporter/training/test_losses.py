"""One loss for each kind of output."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.backend import tensor
from inn_exporter.graph.outputs import OutputKind
from inn_exporter.training.losses import LABEL_WEIGHT, batch_loss, distillation_loss
from networks import images
from scipy.special import log_softmax, softmax

SCORES, VALUES = OutputKind.SCORES, OutputKind.VALUES


def loss(found: np.ndarray, wanted: np.ndarray, kind: OutputKind) -> float:
    return float(distillation_loss([tensor(found)], [tensor(wanted)], [kind]).asnumpy())


@pytest.mark.parametrize(("classes", "temperature"), [(10, 2.0), (101, 1.0)])
def test_scores_are_compared_as_probabilities(classes: int, temperature: float) -> None:
    found, wanted = images(6, classes), images(6, classes, seed=2)
    p = softmax(wanted / temperature, 1)
    missing = p * (log_softmax(wanted / temperature, 1) - log_softmax(found / temperature, 1))
    assert loss(found, wanted, SCORES) == pytest.approx(missing.sum(1).mean() * temperature**2, rel=1e-4)
    assert loss(wanted + 3, wanted, SCORES) == pytest.approx(0, abs=1e-5)


def test_values_are_compared_relative_to_the_original() -> None:
    wanted = images(4, 3, 5, 5)
    assert loss(0.9 * wanted, wanted, VALUES) == pytest.approx(0.01, rel=1e-4)
    assert loss(90 * wanted, 100 * wanted, VALUES) == pytest.approx(0.01, rel=1e-4)


def test_outputs_and_labels_add_up() -> None:
    scores, pictures, labels = images(4, 5), images(4, 3, 2, 2), np.array([0, 1, 2, 3], np.int32)
    outputs = [tensor(scores), tensor(0.9 * pictures)]
    expected = [tensor(scores), tensor(pictures)]
    alone = float(batch_loss(outputs, expected, [SCORES, VALUES]).asnumpy())
    both = float(batch_loss(outputs, [*expected, tensor(labels)], [SCORES, VALUES]).asnumpy())
    likelihood = -float(log_softmax(scores, 1)[np.arange(4), labels].mean())
    assert alone == pytest.approx(0.01, rel=1e-4)
    assert both == pytest.approx(alone + LABEL_WEIGHT * likelihood, rel=1e-4)
