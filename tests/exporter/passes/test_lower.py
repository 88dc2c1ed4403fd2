"""Networks in MindSpore Lite's terms; that these compute the same is in `operators/test_operators.py`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from inn_exporter.importers import import_onnx
from inn_exporter.operators import OPERATORS
from inn_exporter.operators.primitives import PRIMITIVES
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.lower import lower
from networks import Network
from operator_cases import CASES


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_the_values_of_constants_do_not_matter(op: str) -> None:
    graph, channels = analyse(fold(import_onnx(next(iter(CASES[op].values()))().model())))
    other = {name: 3 - 2 * values for name, values in graph.constants.items()}
    assert lower(replace(graph, constants=other), channels.dims) == lower(graph, channels.dims)


@pytest.mark.parametrize("read_twice", [False, True])
def test_an_activation_is_fused_where_it_alone_reads_a_layer(read_twice: bool) -> None:
    n = Network()
    x = n.conv(n.input(3, 6, 6), 3, 8)
    y = n.relu(x)
    n.output(n.conv(n.node("Add", y, n.node("Sigmoid", x)) if read_twice else y, 8, 4), rank=4)
    graph, channels = analyse(fold(import_onnx(n.model())))
    kinds = [node["primitive"] for node in lower(graph, channels.dims).nodes]
    assert kinds.count(PRIMITIVES["Activation"][0]) == (2 if read_twice else 0)
