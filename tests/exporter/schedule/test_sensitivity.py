"""What outputs lose when one channel group alone shrinks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from inn_exporter.execution import forward
from inn_exporter.graph.graph import Node
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.schedule.sensitivity import full_grams, sensitivities
from networks import Network, images
from unequal import Prepared


def test_a_softmax_at_the_end_changes_no_sensitivity(prepared: Prepared) -> None:
    network, inputs = prepared
    graph = network.graph
    (scores,) = graph.outputs
    softmax = Node("Softmax", "softmax", (scores,), ("probabilities",), {"axis": 1})
    shapes = {**graph.shapes, "probabilities": graph.shapes[scores]}
    longer = replace(graph, nodes=[*graph.nodes, softmax], outputs=["probabilities"], shapes=shapes)
    grams, widths = full_grams(network, inputs), [[n // 2] for n in network.channels.sizes]
    networks = network.with_graph(longer), network
    found, expected = (sensitivities(n, grams, widths, inputs) for n in networks)
    assert found == expected


def test_copies_of_a_channel_are_worth_nothing(prepared: Prepared) -> None:
    network, inputs = prepared
    done: list[float] = []
    first, useless, last = sensitivities(
        network, full_grams(network, inputs), [[2, 16]] * 3, inputs, done.append
    )
    assert max(useless.values()) < 1e-3 * min(first[2], last[2])
    assert first[2] > first[16] > 0
    assert done[-1] == 1.0
    assert done == sorted(done)


def test_only_what_follows_a_group_runs_again(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    network, inputs = prepared
    graph, channels = network.graph, network.channels
    grams = full_grams(network, inputs)
    few = {name: array[:8] for name, array in inputs.items()}
    run, ran = forward.run, []
    monkeypatch.setattr(forward, "run", lambda graph, *rest: (ran.extend(graph.nodes), run(graph, *rest))[1])
    sensitivities(network, grams, [[], [], [8]], few)
    last = next(i for i, node in enumerate(graph.nodes) if node.name == channels.groups[2].name)
    assert len(ran) == 2 * len(graph.nodes) + len(graph.nodes) - last


def test_outputs_before_a_group_begins_are_as_they_were() -> None:
    """The first output is known before the last group begins."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 12))
    n.output(n.conv(x, 12, 4, kernel=1), 4)
    n.output(n.conv(n.relu(n.conv(x, 12, 20)), 20, 4, kernel=1), 4)
    inputs = {"x": images(40, 3, 8, 8)}
    network = laid_out(*analyse(fold(import_onnx(n.model()))), inputs, storage="float32")
    found = sensitivities(network, full_grams(network, inputs), [[6], [10]], inputs)
    assert all(loss > 0 for losses in found for loss in losses.values())
