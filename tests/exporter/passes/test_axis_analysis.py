"""Channel groups by the axis rules of operators; what is tied is in `graph/test_structure.py`."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from inn_exporter.importers import import_onnx
from inn_exporter.operators import OPERATORS
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from operator_cases import CASES


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_the_graph_it_is_given_stays(op: str) -> None:
    graph = fold(import_onnx(next(iter(CASES[op].values()))().model()))
    nodes, constants = copy.deepcopy(graph.nodes), copy.deepcopy(graph.constants)
    settled, channels = analyse(graph)
    assert graph.nodes == nodes
    assert [node.output for node in settled.nodes] == [node.output for node in nodes]
    assert graph.constants.keys() == constants.keys()
    assert all(np.array_equal(graph.constants[name], values) for name, values in constants.items())
    again, same = analyse(graph)
    assert (again.nodes, same.groups, same.dims) == (settled.nodes, channels.groups, channels.dims)
