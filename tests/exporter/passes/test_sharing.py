"""Layers that are one function of several inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from inn_exporter import export
from inn_exporter.graph.channels import Channels
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.operators import operator
from inn_exporter.passes.folding import fold
from inn_exporter.passes.groups import chosen_groups
from inn_exporter.passes.sharing import side_by_side
from inn_runtime import Bundle
from inn_runtime.format.manifest import Manifest
from networks import Network, images
from parity import assert_lite_parity
from sharing import pyramid, siamese, twice

SIZES = (0.3, 0.6, 1.0)
EFFORTS = [
    {"effort": "fast"},
    {"effort": "refit", "refit_up_to": 1.0, "span_steps": 2},
    {"effort": "distill", "distill_images": 256},
    {"quadrature": "trapezoid"},
    {"quadrature": "rescaled"},
    {"optimise": "flops", "effort": "fast"},
]


def resizable(n: Network) -> tuple[Graph, Channels]:
    return chosen_groups(fold(import_onnx(n.model())), (), ())


def exported(n: Network, folder: Path, **options: object) -> Bundle:
    model = n.model()
    data = {
        port.name: images(40, *(d.dim_value for d in port.type.tensor_type.shape.dim[1:]), seed=seed)
        for seed, port in enumerate(model.graph.input)
    }
    return export(model, folder / "a.inn", data, sizes=SIZES, storage="float32", **options)


def kernels(graph: Graph) -> list[str]:
    return [node.inputs[1] for node in graph.nodes if operator(node).linear]


def test_branches_share_kernels_and_groups() -> None:
    graph, channels = resizable(siamese())
    assert len(kernels(graph)) == 8
    assert len(set(kernels(graph))) == 4
    assert [group.size for group in channels.groups] == [16, 16, 24]
    keys = [key for key, _ in channels.quadratures]
    assert all(len(key.each) == 2 for key in keys)
    assert len({key.name for key in keys}) == len(keys) == 3


def test_a_head_is_one_on_every_level() -> None:
    graph, _ = resizable(pyramid(4))
    assert len(set(kernels(graph))) == 4 + 3
    places = {node.output: index for index, node in enumerate(graph.nodes)}
    for layer in graph.layers().values():
        first = places[layer[0].output]
        assert [places[node.output] for node in layer] == list(range(first, first + len(layer)))


@pytest.mark.parametrize("options", EFFORTS, ids=lambda options: "-".join(map(str, options.values())))
def test_the_distance_of_a_picture_to_itself_is_nought(options: Mapping[str, object], tmp_path: Path) -> None:
    bundle = exported(siamese(), tmp_path, **options)
    x, other = images(4, 3, 12, 12), images(4, 3, 12, 12, seed=9)
    names = [port.name for port in bundle.manifest.inputs]
    for size in SIZES:
        with bundle.resample(size).session() as session:
            same, different = (
                next(iter(session.run(dict(zip(names, (x, second)))).values())) for second in (x, other)
            )
        assert not same.any()
        assert np.abs(different).max() > 1e-3


@pytest.mark.parametrize("options", EFFORTS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("network", [siamese, pyramid])
def test_it_is_right_at_every_size(
    network: Callable[[], Network], options: Mapping[str, object], tmp_path: Path
) -> None:
    bundle = exported(network(), tmp_path, **options)
    assert bundle.manifest.source_difference < 1e-4
    assert_lite_parity(bundle, SIZES)


def test_a_bundle_holds_a_shared_layer_once_and_a_model_once_a_shape(tmp_path: Path) -> None:
    """The engine packs a kernel for the first shape that it is used with."""
    branches, head = (exported(n, tmp_path, effort="fast").manifest for n in (siamese(), pyramid(4)))
    assert len(branches.weights) == 2 * 4
    assert len(held(branches)) == 2 * 4
    assert len(head.weights) == 2 * (4 + 3)
    assert len(held(head)) == 2 * (4 + 4 * 3)


def held(manifest: Manifest) -> list[int]:
    """The weights of a model's tensors."""
    return [tensor.weight for tensor in manifest.tensors if tensor.weight is not None]


def test_a_block_that_reads_what_it_wrote_has_kernels_of_its_own(tmp_path: Path) -> None:
    graph, _ = resizable(twice())
    assert len(set(kernels(graph))) == len(kernels(graph)) == 4
    assert side_by_side(graph) is graph
    assert_lite_parity(exported(twice(), tmp_path, effort="fast"), SIZES)


def test_what_was_folded_differently_is_not_shared() -> None:
    n = Network()
    kernel, a = n.weight(12, 3, 3, 3), n.input(3, 8, 8)
    first, second = (n.batch_norm(n.node("Conv", x, kernel, pads=[1] * 4), 12) for x in (a, n.relu(a)))
    n.output(n.conv(n.node("Add", n.relu(first), n.relu(second)), 12, 4), 4)
    graph, _ = resizable(n)
    assert len(set(kernels(graph))) == 3


def test_nodes_that_wait_for_each_other_are_not_put_side_by_side() -> None:
    """Two layers, each applied before the other once."""
    n = Network()
    kernels_of = [n.weight(8, 8, 3, 3), n.weight(8, 8, 3, 3)]
    a, b = (n.relu(n.conv(n.input(3, 8, 8, name=name), 3, 8)) for name in "ab")
    for first, second in ((0, 1), (1, 0)):
        a, b = (
            n.relu(
                n.node(
                    "Conv",
                    n.relu(n.node("Conv", x, kernels_of[i], pads=[1] * 4)),
                    kernels_of[j],
                    pads=[1] * 4,
                )
            )
            for x, i, j in ((a, first, second), (b, second, first))
        )
    n.output(n.conv(n.node("Add", a, b), 8, 4), 4)
    graph, _ = resizable(n)
    assert side_by_side(graph) is not None
    done: set[str] = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        assert done.issuperset(node.inputs)
        done.update(node.outputs)


def test_queries_that_are_keys_are_right(tmp_path: Path) -> None:
    """One layer makes both: no basis may be changed for one of them alone."""
    n = Network()
    kernel, x = n.weight(16, 16), n.input(6, 16)
    x = n.token_dense(x, 16, 16)
    queries, keys = (n.node("MatMul", x, kernel) for _ in range(2))
    scores = n.node("Softmax", n.node("MatMul", queries, n.node("Transpose", keys, perm=[0, 2, 1])), axis=-1)
    n.output(n.token_dense(n.node("MatMul", scores, x), 16, 5), 3)
    bundle = exported(n, tmp_path, effort="fast")
    assert bundle.manifest.source_difference < 1e-4
    assert_lite_parity(bundle, SIZES)
