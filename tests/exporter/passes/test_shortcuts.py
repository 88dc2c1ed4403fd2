"""The order in which branches run."""

from __future__ import annotations

import numpy as np
from inn_exporter.graph.graph import Graph, Node
from inn_exporter.passes.shortcuts import graph_with_early_shortcuts


def test_the_smaller_branch_of_a_residual_sum_runs_first() -> None:
    def conv(name: str, x: str) -> Node:
        return Node("Conv", name, (x, f"w_{name}", ""), (name,), {"group": 1})

    nodes = [
        conv("first", "x"),
        conv("second", "first"),
        conv("shortcut", "x"),
        Node("Add", "sum", ("second", "shortcut"), ("sum",)),
    ]
    constants = {
        "w_first": np.zeros((4, 4, 3, 3)),
        "w_second": np.zeros((4, 4, 3, 3)),
        "w_shortcut": np.zeros((4, 4, 1, 1)),
    }
    graph = Graph("g", ["x"], ["sum"], nodes, constants, {})
    assert [n.name for n in graph_with_early_shortcuts(graph).nodes] == ["shortcut", "first", "second", "sum"]
