"""Every operator of the registry between resizable layers: MindSpore and MindSpore Lite against ONNX Runtime.

The cases are in `operator_cases`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from inn_exporter.execution.forward import run_node
from inn_exporter.execution.patches import channels_second
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.operators import OPERATORS, operator
from inn_exporter.passes.folding import fold
from inn_exporter.passes.layer_norms import with_free_streams
from inn_runtime import Bundle
from networks import images, relative_error
from operator_cases import CASES
from parity import TOLERANCE, assert_lite_parity
from places import DATA


def test_every_operator_has_a_case() -> None:
    assert set(CASES) == set(OPERATORS)


@pytest.mark.parametrize(
    ("op", "case"),
    [pytest.param(op, case, id=f"{op}-{case}") for op, cases in CASES.items() for case in cases],
)
def test_operator(
    op: str, case: str, assert_import_parity: Callable[..., Graph], export_network: Callable[..., Bundle]
) -> None:
    model = CASES[op][case]().model()
    graph = assert_import_parity(model)
    assert op in {node.op for form in (graph, with_free_streams(graph)) for node in form.nodes}
    bundle = export_network(model)
    assert bundle.resample(0.5).parameters < bundle.resample(1.0).parameters
    assert_lite_parity(bundle)


LINEAR = [op for op in CASES if OPERATORS[op].linear]


@pytest.mark.parametrize(
    ("op", "case"), [pytest.param(op, case, id=f"{op}-{case}") for op in LINEAR for case in CASES[op]]
)
def test_patches_times_the_kernel_are_the_output(op: str, case: str) -> None:
    graph = with_free_streams(fold(import_onnx(CASES[op][case]().model())))
    node = next(node for node in graph.nodes[2:] if node.op == op)
    source, weight, bias = node.inputs
    x = images(2, *graph.shapes[source][1:])
    patches = operator(node).unfold(node, x)
    output = run_node(node, {source: x}, graph.constants)
    kernel = graph.constants[weight].reshape(len(patches), -1, patches.shape[1])
    output = channels_second(node, output)
    found = (kernel @ patches).reshape(output.shape[1], -1) + graph.constants[bias][:, None]
    assert relative_error(found, output.swapaxes(0, 1).reshape(output.shape[1], -1)) <= TOLERANCE
    if output.ndim > 2:
        at = np.array([0, output[0, 0].size - 1])
        samples = patches.reshape(*patches.shape[:2], 2, -1)[..., at]
        assert np.array_equal(operator(node).unfold(node, x, at), samples.reshape(*patches.shape[:2], -1))


@pytest.mark.parametrize(
    "name", ["residual-dynamo-18-dynamic-raw", "vgg-script-11-batch8", "twoheads-script-12-dynamic-raw"]
)
def test_pytorch_file(name: str, export_network: Callable[..., Bundle]) -> None:
    assert_lite_parity(export_network(DATA / f"torch_{name}.onnx"))
