"""Widths chosen from measured sensitivity: budgets, order, and which group goes first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_exporter.defaults import OBJECTIVES
from inn_exporter.execution import forward
from inn_exporter.execution.divergence import output_divergence
from inn_exporter.graph.graph import Node
from inn_exporter.graph.outputs import OutputKind
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import ContinuousNetwork, laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.lower import lower
from inn_exporter.schedule.cost import Cost
from inn_exporter.schedule.sensitivity import full_grams, sensitivities
from inn_exporter.schedule.spending import ladder, loss_curve, spend
from inn_exporter.schedule.widths import schedule
from inn_runtime.format.manifest import evaluate
from inn_runtime.format.parser import SCHEDULES
from inn_runtime.sampling.plan import round_width
from networks import Network, images

SIZES = (0.2, 0.5, 0.7)
Prepared = tuple[ContinuousNetwork, dict[str, np.ndarray]]


def _network() -> Network:
    """Two convolutions of 32 channels; all channels of the second are copies of one."""
    network = Network()
    x = network.relu(network.conv(network.input(3, 8, 8), 3, 32))
    row = network.random.normal(0, 0.1, (1, 32, 3, 3))
    weight = network.constant(np.repeat(row, 32, axis=0))
    x = network.node("Conv", x, weight, network.constant(np.zeros(32)), kernel_shape=[3, 3], pads=[1] * 4)
    x = network.relu(network.conv(network.relu(x), 32, 32))
    pooled = network.node("Flatten", network.node("GlobalAveragePool", x))
    network.output(network.dense(pooled, 32, 5))
    return network


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    graph, inputs = fold(import_onnx(_network().model())), {"x": images(48, 3, 8, 8)}
    return laid_out(*analyse(graph), inputs, storage="float32"), inputs


def test_a_bundle_knows_every_objective() -> None:
    assert tuple(OBJECTIVES) == SCHEDULES


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


@pytest.mark.parametrize("objective", ["flops", "params", "latency"])
@pytest.mark.parametrize("align", [1, 3, 8])
def test_schedules_meet_the_budget_and_shrink_the_useless_group_first(
    prepared: Prepared, objective: str, align: int
) -> None:
    network, inputs = prepared
    channels = network.channels
    lowered = lower(network.graph, channels.dims)
    uniform = {size: channels.widths(size, align) for size in SIZES}
    found = schedule(objective, network, lowered, uniform, align, inputs, inputs)
    cost = Cost.of(objective, lowered)
    assert list(found) == sorted(SIZES)
    for size, widths in found.items():
        assert cost(np.array(widths)) <= cost(np.array(uniform[size]))
        assert all(width % align == 0 or width == n for width, n in zip(widths, channels.sizes))
    for smaller, larger in zip(SIZES, SIZES[1:]):
        assert all(a <= b for a, b in zip(found[smaller], found[larger]))
    first, useless, last = found[0.7]
    assert useless < min(first, last)
    assert first + last > sum(uniform[0.7][::2])
    assert found == schedule(objective, network, lowered, uniform, align, inputs, inputs)


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


def test_costs_are_those_of_the_bundle(prepared: Prepared) -> None:
    network, _ = prepared
    graph, channels = network.graph, network.channels
    lowered = lower(graph, channels.dims)
    widths = [5, 12, 31]
    assert Cost.of("flops", lowered)(np.array(widths)) == evaluate(lowered.macs, widths)
    assert Cost.of("latency", lowered)(np.array(widths)) == evaluate(lowered.macs, [8, 16, 32])
    values = 3 * 9 * 5 + 5 + 5 * 9 * 12 + 12 + 12 * 9 * 31 + 31 + 31 * 5 + 5
    assert Cost.of("params", lowered)(np.array([widths, channels.sizes]))[0] == values


@pytest.mark.parametrize(
    ("arguments", "rungs"),
    [
        ((10, 4, 1), [10, 9, 8, 7, 6, 5, 4]),
        ((20, 5, 8), [20, 16, 8]),
        ((32, 2, 1, 8), [32, 24, 16, 8]),
        ((30, 3, 3, 8), [30, 24, 15, 6]),
        ((6, 6, 8), [6]),
    ],
)
def test_ladders_hold_aligned_widths_that_are_cheaper_each(
    arguments: tuple[int, ...], rungs: list[int]
) -> None:
    assert ladder(*arguments) == rungs


def test_loss_curves_are_convex_and_never_above_what_was_measured() -> None:
    measured = {2: 1.0, 4: 0.9, 8: 0.2, 12: 0.3, 14: 0.01}
    rungs = list(range(16, 1, -1))
    curve = loss_curve(rungs, measured)
    assert curve[0] == 0.0
    assert curve[-1] == 1.0
    assert (np.diff(curve) >= 0).all()
    assert (np.diff(curve, 2) >= -1e-12).all()
    assert all(curve[rungs.index(width)] <= loss + 1e-12 for width, loss in measured.items())
    assert loss_curve([7], {}) == pytest.approx([0.0])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_budgets_hold_and_smaller_sizes_are_nowhere_wider(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    align = data.draw(st.sampled_from([1, 2, 8]))
    full = data.draw(st.lists(st.integers(1, 40), min_size=count, max_size=count))
    steep = data.draw(st.lists(st.floats(0, 10), min_size=count, max_size=count))
    uniform = {size: np.array([round_width(size, n, align) for n in full]) for size in (0.1, 0.35, 0.8)}
    power = data.draw(st.floats(1, 3))
    floors = {size: [round_width(size**power, n, align) for n in full] for size in uniform}
    ladders = [ladder(n, least, align) for n, least in zip(full, floors[0.1])]
    losses = [scale * (np.array(rungs) / rungs[0] - 1.0) ** 2 for scale, rungs in zip(steep, ladders)]

    def cost(widths: np.ndarray) -> np.ndarray:
        """A chain of dense layers."""
        return widths[..., :-1] @ np.ones(count - 1, int) * 3 + (widths[..., 1:] * widths[..., :-1]).sum(-1)

    budgets = {size: int(cost(widths)) for size, widths in uniform.items()}
    found = spend(ladders, losses, cost, budgets, floors)
    for size, widths in found.items():
        assert cost(np.array(widths)) <= cost(uniform[size])
        assert all(width >= least for width, least in zip(widths, floors[size]))
        assert all(width in rungs for width, rungs in zip(widths, ladders))
    for smaller, larger in ((0.1, 0.35), (0.35, 0.8)):
        assert all(a <= b for a, b in zip(found[smaller], found[larger]))


def test_what_is_left_of_a_budget_is_spent() -> None:
    """One step of the first group overshoots by far; the second group gets what is left."""
    ladders, losses = [[32, 8], [8, 7, 6, 5, 4]], [np.array([0, 0.1]), np.array([0, 0.01, 0.02, 0.03, 0.04])]
    found = spend(ladders, losses, lambda widths: widths.sum(-1), {0.5: 16}, {0.5: [1, 1]})
    assert found == {0.5: [8, 8]}


def test_floors_bind_where_groups_lose_much_together() -> None:
    """The first group loses least and may be narrowed further only while all lose little."""
    ladders = [list(range(8, 0, -1))] * 2
    losses = [scale * np.arange(8) ** 2 for scale in (0.01, 0.1)]
    budgets, floors = {0.5: 8}, {0.5: [4, 4]}

    def found(additive: float) -> list[int]:
        return spend(ladders, losses, lambda widths: widths.sum(-1), budgets, floors, additive)[0.5]

    assert found(0.0) == [4, 4]
    assert found(0.59) == [4, 4]
    assert found(0.6) == [1, 7]


def test_divergence_is_relative_where_the_network_is_no_classifier() -> None:
    values, classes = {"y": OutputKind.VALUES}, {"y": OutputKind.SCORES}
    reference = {"y": images(4, 3, 5, 5)}
    assert output_divergence(reference, reference, values) == 0.0
    assert output_divergence({"y": 0.9 * reference["y"]}, reference, values) == pytest.approx(0.01, rel=1e-5)
    scores = {"y": images(6, 4)}
    assert output_divergence({"y": scores["y"] + 7}, scores, classes) == pytest.approx(0.0, abs=1e-9)
    assert output_divergence({"y": -scores["y"]}, scores, classes) > 0.1
