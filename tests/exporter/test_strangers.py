"""Kinds of network that came out wrong, or with a traceback, once: each is right now at every size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forms import FORMS
from inn_exporter import export
from inn_exporter.importers import import_onnx
from inn_exporter.passes.folding import fold
from inn_exporter.passes.groups import chosen_groups
from networks import Network, images
from parity import assert_lite_parity

SIZES = (0.3, 0.6, 1.0)


def seen_as_a_picture(then: str) -> Network:
    """A dense layer whose output is read as C x H x W: its groups are channels, never columns."""
    n = Network()
    x = n.relu(n.dense(n.input(12), 12, 16 * 20))
    x = n.node("Reshape", x, n.integers(-1, 16, 4, 5))
    if then == "convolution":
        x = n.conv(x, 16, 10)
    elif then == "transposed convolution":
        x = n.conv_transpose(x, 16, 10, 2)
    elif then == "pooling":
        x = n.conv(n.node("MaxPool", x, kernel_shape=[2, 2]), 16, 10, 1)
    else:
        x = n.conv(n.node("GlobalAveragePool", x), 16, 10, 1)
    n.output(n.conv(n.relu(x), 10, 3, 1), 4)
    return n


def along_the_width(then: str) -> Network:
    """A dense layer along the columns of a picture, then what looks at neighbours there."""
    n = Network()
    x = n.token_dense(n.input(2, 6, 20), 20, 12)
    if then == "pooling":
        x = n.node("AveragePool", x, kernel_shape=[1, 2], strides=[1, 2])
    elif then == "interpolation":
        scales = n.constant([1, 1, 2, 2])
        x = n.node("Resize", x, "", scales, mode="nearest", nearest_mode="floor",
                   coordinate_transformation_mode="asymmetric")  # fmt: skip
    elif then == "padding":
        x = n.node("Pad", x, n.integers(0, 0, 0, 1, 0, 0, 0, 1), mode="reflect")
    elif then == "instance norm":
        x = n.node("InstanceNormalization", x, n.weight(2), n.weight(2))
    x = n.relu(n.conv(x, 2, 10, 3 if then == "convolution" else 1))
    n.output(n.conv(x, 10, 3, 1), 4)
    return n


def mixer() -> Network:
    """Dense layers over the tokens and over the channels, both of which are resized; no norms."""
    n = Network()
    x = n.token_dense(n.input(10, 12), 12, 16)
    y = n.node("Transpose", x, perm=[0, 2, 1])
    y = n.token_dense(n.relu(n.token_dense(y, 10, 24)), 24, 10)
    x = n.node("Add", x, n.node("Transpose", y, perm=[0, 2, 1]))
    n.output(n.token_dense(n.relu(n.token_dense(x, 16, 32)), 32, 5), 3)
    return n


def along_frequency() -> Network:
    """A bottleneck along the width inside a convolutional network whose channels are resized, too."""
    n = Network()
    x = n.relu(n.conv(n.input(2, 6, 16), 2, 20))
    y = n.relu(n.token_dense(n.relu(n.token_dense(x, 16, 8)), 8, 16))
    n.output(n.conv(n.node("Add", x, y), 20, 3), 4)
    return n


NETWORKS: dict[str, Callable[[], Network]] = {
    **{
        f"seen as a picture, {then}": lambda then=then: seen_as_a_picture(then)
        for then in ("convolution", "transposed convolution", "pooling", "mean")
    },
    **{
        f"along the width, {then}": lambda then=then: along_the_width(then)
        for then in ("convolution", "pooling", "interpolation", "padding", "instance norm")
    },
    "mixer": mixer,
    "along frequency": along_frequency,
}


@pytest.mark.parametrize("effort", ["fast", "refit"])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_right_at_every_size(name: str, effort: str, tmp_path: Path) -> None:
    model = NETWORKS[name]().model()
    shapes = {
        port.name: [d.dim_value for d in port.type.tensor_type.shape.dim[1:]] for port in model.graph.input
    }
    data = {name: images(40, *shape) for name, shape in shapes.items()}
    options = {"sizes": SIZES, "effort": effort, "storage": "float32", "refit_up_to": 1.0, "span_steps": 2}
    bundle = export(model, tmp_path / "a.inn", data, **options)
    assert bundle.manifest.groups
    assert bundle.manifest.source_difference < 1e-4
    assert_lite_parity(bundle, SIZES)


@pytest.mark.parametrize("quadrature", ["trapezoid", "rescaled", "none"])
@pytest.mark.parametrize("name", ["seen as a picture, convolution", "along the width, convolution"])
def test_it_is_right_by_every_quadrature(name: str, quadrature: str, tmp_path: Path) -> None:
    model = NETWORKS[name]().model()
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    data = images(40, *shape)
    bundle = export(model, tmp_path / "a.inn", data, sizes=SIZES, quadrature=quadrature, storage="float32")
    assert bundle.manifest.source_difference < 1e-4
    assert_lite_parity(bundle, SIZES)


def test_the_groups_of_a_layer_seen_as_a_picture_are_its_channels() -> None:
    _, channels = chosen_groups(fold(import_onnx(seen_as_a_picture("convolution").model())), (), ())
    assert [group.size for group in channels.groups] == [16, 10]
    names = [group.name for group in (*channels.groups, *channels.alternatives)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("storage", ["float16", "int8", "float32"])
@pytest.mark.parametrize("scale", [1e-3, 1e-5, 1e-7, 1e-9])
def test_small_weights_that_a_norm_brings_back_are_held(scale: float, storage: str, tmp_path: Path) -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 16))
    kernel = scale * n.random.normal(0, 0.1, (16, 16, 3, 3))
    x = n.node("Conv", x, n.constant(kernel), pads=[1] * 4)
    x = n.node("Mul", x, n.constant(np.full((16, 1, 1), 1 / scale)))
    n.output(
        n.conv(n.node("InstanceNormalization", x, n.weight(16), n.weight(16), epsilon=1e-12), 16, 3, 1), 4
    )
    data = images(40, 3, 8, 8)
    bundle = export(n.model(), tmp_path / "a.inn", data, sizes=(0.5,), effort="fast", storage=storage)
    assert bundle.manifest.source_difference < {"float16": 3e-3, "int8": 0.05, "float32": 1e-4}[storage]


def test_one_row_of_small_weights_is_held(tmp_path: Path) -> None:
    """Its output is small beside the others, but it is all that it is."""
    n = Network()
    x = n.relu(n.dense(n.input(8), 8, 32))
    kernel = n.random.normal(0, 0.2, (4, 32)) * np.array([[1e3], [1e-6], [1e-8], [1.0]])
    outputs = n.node("Gemm", x, n.constant(kernel), n.constant(np.zeros(4)), transB=1)
    factors = n.constant(np.array([[1e-3, 1e6, 1e8, 1.0]]))
    n.output(n.node("Mul", n.relu(outputs), factors))
    bundle = export(n.model(), tmp_path / "a.inn", images(40, 8), sizes=(0.5,), effort="fast")
    assert bundle.manifest.source_difference < 3e-3


@pytest.mark.parametrize("name", FORMS)
def test_spellings_of_files_are_right(name: str, tmp_path: Path) -> None:
    model = FORMS[name]().model()
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    data = images(40, *shape)
    bundle = export(model, tmp_path / "a.inn", data, sizes=SIZES, effort="fast", storage="float32")
    assert bundle.manifest.source_difference < 1e-4
    assert_lite_parity(bundle, SIZES)
