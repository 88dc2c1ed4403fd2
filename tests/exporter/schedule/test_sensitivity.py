"""What outputs lose when one channel group alone shrinks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from inn_exporter.execution import forward
from inn_exporter.graph.graph import Node
from inn_exporter.schedule.sensitivity import full_grams, sensitivities
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
    run, ran = forward.run_tensors, []
    monkeypatch.setattr(forward, "run_tensors", lambda node, *rest: (ran.append(node), run(node, *rest))[1])
    sensitivities(network, grams, [[], [], [8]], few)
    last = next(i for i, node in enumerate(graph.nodes) if node.name == channels.groups[2].name)
    assert len(ran) == 2 * len(graph.nodes) + len(graph.nodes) - last
