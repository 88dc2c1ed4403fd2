"""Where recurrent layers have their batch."""

from __future__ import annotations

import pytest
from inn_exporter.importers import import_onnx
from inn_runtime import UsageError
from networks import Network
from recurrent_networks import recurrent


def of_features(axis: int, batch: int | str = "frames") -> Network:
    """A layer on one vector an image, which gets its second dimension at ``axis``."""
    n = Network(batch=batch)
    x = n.relu(n.dense(n.input(6), 6, 8))
    y = recurrent(n, "LSTM", n.node("Unsqueeze", x, n.integers(axis)), 8, 8)[0]
    n.output(n.dense(n.node("Squeeze", y, n.integers(axis, axis + 1)), 8, 3))
    return n


@pytest.mark.parametrize("batch", ["frames", 3])
def test_one_step_of_every_image(batch: int | str) -> None:
    assert "LSTM" in {node.op for node in import_onnx(of_features(0, batch).model(check=False)).nodes}


@pytest.mark.parametrize("batch", ["frames", 3])
def test_images_as_steps(batch: int | str) -> None:
    with pytest.raises(
        UsageError, match="lstm_3: LSTM: its steps are the images of a batch; export it with a"
    ):
        import_onnx(of_features(1, batch).model(check=False))
