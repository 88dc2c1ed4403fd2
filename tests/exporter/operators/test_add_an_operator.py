"""docs/guide/add-an-operator.md, taken at its word: its text adds an operator, and the runtime runs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from inn_exporter.errors import UnsupportedGraphError
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.operators import IMPORTERS, OPERATORS
from inn_runtime import Bundle
from networks import Network
from operator_networks import CHANNELS, on_map
from parity import assert_lite_parity
from places import ROOT

PAGE = ROOT / "docs" / "guide" / "add-an-operator.md"

IMPORTS = """
from __future__ import annotations
from inn_exporter.backend import ops
from inn_exporter.operators.activations import Activation
from inn_exporter.operators.base import OnnxStep
from inn_exporter.operators.registry import imports, register
from inn_exporter.operators.primitives import SOFTPLUS, TANH
"""


@pytest.fixture
def without_it() -> Iterator[None]:
    """The exporter before it had the page's operator."""
    known = OPERATORS.pop("Mish"), IMPORTERS.pop("Mish")
    yield
    OPERATORS["Mish"], IMPORTERS["Mish"] = known


@pytest.fixture
def operator_of_the_page(without_it: None) -> dict[str, Callable[[], Network]]:
    """The page's case, with its operator in the registry for the time being."""
    code, case = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(IMPORTS + code, str(PAGE), "exec"), {})
    names = {"on_map": on_map, "CHANNELS": CHANNELS}
    cases: dict[str, Callable[[], Network]] = eval("{" + case.strip() + "}", names)["Mish"]
    return cases


def test_the_page_adds_an_operator(
    operator_of_the_page: dict[str, Callable[[], Network]],
    assert_import_parity: Callable[..., Graph],
    export_network: Callable[..., Bundle],
) -> None:
    model = operator_of_the_page["map"]().model()
    assert "Mish" in {node.op for node in assert_import_parity(model).nodes}
    assert_lite_parity(export_network(model))


def test_it_was_not_there_before(without_it: None) -> None:
    model = on_map(lambda n, x: n.node("Mish", x), opset=18).model()
    with pytest.raises(UnsupportedGraphError, match=r"Mish\(\): this operator is not supported"):
        import_onnx(model)
