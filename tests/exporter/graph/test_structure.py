"""Channel groups: what is tied, what may not change, who shares a quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inn_exporter.bundling.onnx_writer import resized_onnx
from inn_exporter.graph.channels import Channels
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_runtime.format.manifest import Segment
from networks import Network, images, relative_error, run_onnx


def structure(network: Network, **arguments: Any) -> tuple[Graph, Channels]:
    graph = fold(import_onnx(network.model()))
    return analyse(graph, **arguments)


def members(channels: Channels) -> dict[str, set[str]]:
    return {group.name: set(group.members) for group in channels.groups}


def layer(graph: Graph, name: str) -> tuple[str, str]:
    """Names of a layer's weight and bias."""
    node = next(node for node in graph.nodes if node.name == name)
    return node.inputs[1], node.inputs[2]


def residual_network() -> Network:
    """Two stages: conv_0 and conv_4 write into the first stream, conv_9 and conv_10 into the second."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 6))
    x = n.relu(n.node("Add", n.conv(n.relu(n.conv(x, 6, 4)), 4, 6), x))
    y = n.conv(n.relu(n.conv(x, 6, 5)), 5, 8, strides=[2, 2])
    x = n.relu(n.node("Add", y, n.conv(x, 6, 8, kernel=1, strides=[2, 2])))
    n.output(n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 8, 4))
    return n


def test_residual_streams_are_one_group() -> None:
    graph, channels = structure(residual_network())
    names = [node.name for node in graph.nodes if node.op in ("Conv", "Gemm")]
    weights = {name: layer(graph, name) for name in names}
    stem, inner, outer, second, third, shortcut, head = names

    def tied(*layers: str) -> set[str]:
        return {f"{constant}:0" for name in layers for constant in weights[name]}

    def read(*layers: str) -> set[str]:
        return {f"{weights[name][0]}:1" for name in layers}

    assert members(channels) == {
        stem: tied(stem, outer) | read(inner, second, shortcut),
        inner: tied(inner) | read(outer),
        second: tied(second) | read(third),
        third: tied(third, shortcut) | read(head),
    }
    assert channels.sizes == [6, 4, 5, 8]


def test_consumers_of_a_tensor_share_its_quadrature() -> None:
    graph, channels = structure(residual_network())
    tensors = [key.tensor for key, _ in channels.quadratures]
    block = next(node.output for node in graph.nodes if node.op == "Relu" and node.name == "relu_6")
    last = [node for node in graph.nodes if node.op == "Relu"][-1].output
    assert tensors.count(block) == 1  # a convolution and the shortcut read it
    assert tensors[-1] == last  # not the pooled or the flattened tensor
    assert len(tensors) == len(set(tensors)) == 5


def test_outputs_and_inputs_keep_their_size() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 6))
    n.output(n.conv(x, 6, 4), 4)
    n.output(x, 4)
    _, channels = structure(n)
    assert channels.groups == []


def test_groups_can_be_kept() -> None:
    _, channels = structure(residual_network(), keep=lambda name: name.startswith("conv_0"))
    assert [group.name for group in channels.groups] == ["conv_2", "conv_7", "conv_9"]


@pytest.mark.parametrize(("op", "attributes"), [("Softmax", {"axis": 1}), ("ReduceMean", {"axes": [1]})])
def test_axes_that_are_mixed_keep_their_size(op: str, attributes: dict[str, Any]) -> None:
    n = Network()
    x = n.node(op, n.relu(n.conv(n.input(3, 6, 6), 3, 6)), **attributes)
    x = n.relu(n.conv(x, 6 if op == "Softmax" else 1, 5))
    n.output(n.conv(x, 5, 2), 4)
    _, channels = structure(n)
    assert channels.sizes == [5]


def test_softmax_over_space_leaves_the_channels_free() -> None:
    n = Network()
    x = n.node("Softmax", n.conv(n.input(3, 6, 6), 3, 6), axis=3)
    n.output(n.conv(x, 6, 2), 4)
    assert structure(n)[1].sizes == [6]


def test_flattened_channel_is_a_run_of_features() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 4, 5), 3, 6))
    flat = n.node("Mul", n.node("Flatten", x), n.weight(120))
    n.output(n.dense(flat, 120, 3))
    graph, channels = structure(n)
    weight, _ = layer(graph, "gemm_4")
    scale = next(node.inputs[1] for node in graph.nodes if node.op == "Mul")
    assert channels.dims[weight][1] == (Segment(0, 1, 20, 0),)
    assert channels.dims[scale][1] == (Segment(0, 1, 1, None),)  # it acts on the map itself
    assert channels.sizes == [6]


def test_depthwise_convolution_belongs_to_its_inputs_group() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 6, kernel=1))
    x = n.relu(n.conv(x, 6, 6, group=6))
    n.output(n.conv(x, 6, 2, kernel=1), 4)
    graph, channels = structure(n)
    weight, bias = layer(graph, "conv_2")
    (group,) = channels.groups
    assert {f"{weight}:0", f"{bias}:0"} <= set(group.members)
    assert channels.dims[weight][1] == (Segment(None, 1, 1, None),)


def test_depthwise_convolution_of_the_image_keeps_its_size() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 3, group=3))
    n.output(n.conv(n.conv(x, 3, 5), 5, 2), 4)
    assert structure(n)[1].sizes == [5]


def test_squeeze_and_excitation_ties_the_gate() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 6))
    gate = n.relu(n.conv(n.node("GlobalAveragePool", x), 6, 4, kernel=1))
    gate = n.node("Sigmoid", n.conv(gate, 4, 6, kernel=1))
    n.output(n.conv(n.node("Mul", gate, x), 6, 2), 4)
    _, channels = structure(n)
    assert [(group.name, group.size) for group in channels.groups] == [("conv_0", 6), ("conv_3", 4)]


def test_constants_follow_the_axes_that_they_share() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 5, 6), 3, 6))
    shapes = [(6, 1, 1), (5, 6), (1, 6, 5, 6), ()]  # the columns are no channels, though there are six
    for shape in shapes:
        x = n.relu(n.node("Add", x, n.weight(*shape)))
    n.output(n.conv(x, 6, 2), 4)
    graph, channels = structure(n)
    groups = []
    for node in graph.nodes:
        if node.op == "Add":
            dims = channels.dims[node.inputs[1]]
            groups.append([segment.group for dimension in dims for segment in dimension])
    assert groups == [[None, 0, None, None], [None] * 4, [None, 0, None, None], [None] * 4]


def test_constant_shared_by_two_groups_leaves_them_apart() -> None:
    """tf2onnx stores equal constants once."""
    n = Network()
    shared = n.weight(6, 1, 1)
    x = n.input(3, 6, 6)
    for inputs in (3, 6):
        x = n.relu(n.node("Add", n.relu(n.conv(x, inputs, 6)), shared))
    n.output(n.conv(x, 6, 2), 4)
    graph, channels = structure(n)
    assert channels.sizes == [6, 6]
    own = [node.inputs[1] for node in graph.nodes if node.op == "Add"]
    assert [f"{name}:1" in group.members for name, group in zip(own, channels.groups)] == [True, True]


def test_features_follow_a_flattened_map_in_runs() -> None:
    n = Network()
    x = n.input(3, 2, 2)
    flat = n.node("Flatten", n.relu(n.conv(x, 3, 6)))
    other = n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 3, 24)
    n.output(n.dense(n.dense(n.node("Add", flat, other), 24, 5), 5, 2))
    graph, channels = structure(n)
    assert channels.sizes == [6, 5]
    weight, _ = layer(graph, next(node.name for node in graph.nodes if node.op == "Gemm"))
    assert channels.dims[weight][0] == (Segment(0, 1, 4, None),)


@pytest.mark.parametrize("quadrature", ["calibrated", "trapezoid"])
def test_residual_network_runs_at_every_size(quadrature: str, export_network: Callable[..., Any]) -> None:
    bundle = export_network(residual_network().model(), sizes=(0.3, 0.5, 0.7, 1.0), quadrature=quadrature)
    x = images(3, 3, 8, 8)
    with bundle.resample(1.0).session() as session:
        for size in (0.3, 0.5, 0.7, 1.0):
            session.resize(size)
            (expected,) = run_onnx(resized_onnx(session.model), {"x": x}).values()
            assert relative_error(session.run(x), expected) <= 1e-4


def test_zero_padded_shortcut_leaves_both_streams_free() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 6))
    y = n.conv(n.relu(n.conv(x, 6, 5)), 5, 12)
    x = n.relu(n.node("Add", n.node("Pad", x, n.integers(0, 2, 0, 0, 0, 4, 0, 0)), y))
    n.output(n.conv(x, 12, 4), 4)
    graph, channels = structure(n)
    assert channels.sizes == [6, 5, 12]
    (projection,) = (node for node in graph.nodes if node.name.startswith("pad"))
    kernel = graph.constants[projection.inputs[1]][:, :, 0, 0]
    assert np.array_equal(kernel, np.pad(np.eye(6), ((2, 4), (0, 0))))


def test_concatenated_stretches_keep_their_own_groups_and_quadratures() -> None:
    n = Network()
    x = n.input(3, 6, 6)
    first, second = n.relu(n.conv(x, 3, 5)), n.relu(n.conv(x, 3, 4))
    joined = n.node("Concat", first, second, x, axis=1)
    n.output(n.dense(n.node("Flatten", n.node("GlobalAveragePool", n.conv(joined, 12, 6))), 6, 2))
    graph, channels = structure(n)
    assert [group.size for group in channels.groups] == [5, 4, 6]
    weight, _ = layer(graph, next(node.name for node in graph.nodes if node.inputs[0] == joined))
    assert channels.dims[weight][1] == (
        Segment(0, 1, 1, 0),
        Segment(1, 1, 1, 1),
        Segment(None, 1, 3, None),
    )
    assert [(key.tensor, key.part) for key, _ in channels.quadratures[:2]] == [(joined, 0), (joined, 1)]


@pytest.mark.parametrize(("mode", "outer", "inner"), [("DCR", 4, 1), ("CRD", 1, 4)])
def test_pixel_shuffle_resizes_whole_blocks(mode: str, outer: int, inner: int) -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 8))
    both = n.node("Add", n.conv(x, 8, 20), n.conv(x, 8, 20))
    y = n.node("DepthToSpace", both, blocksize=2, mode=mode)
    n.output(n.conv(y, 5, 1), rank=4)
    graph, channels = structure(n)
    assert [group.size for group in channels.groups] == [8, 5]
    for node in [node for node in graph.nodes if node.op == "Conv"][1:3]:
        assert channels.dims[node.inputs[1]][0] == (Segment(1, outer, inner, None),)


def test_blocks_that_do_not_fit_keep_their_size() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 8))
    one = n.node("DepthToSpace", x, blocksize=2, mode="DCR")
    other = n.node("DepthToSpace", x, blocksize=2, mode="CRD")  # the same channels in other blocks
    y = n.conv(n.node("Concat", one, other, axis=1), 4, 6)
    n.output(n.conv(y, 6, 1), rank=4)
    _, channels = structure(n)
    assert [group.size for group in channels.groups] == [6]
