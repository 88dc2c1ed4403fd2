"""Opsets after the last that was read as a whole."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from inn_exporter.importers import import_onnx
from inn_exporter.importers.opsets import OPSETS, WIDENED, opset_problems
from inn_exporter.operators import IMPORTERS
from inn_runtime import UsageError
from networks import Network
from onnx import ModelProto, defs
from parity import Parity, operators


def later_form(opset: int, op: str = "Elu", **attributes: Any) -> ModelProto:
    n = Network(opset)
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 8))
    x = n.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=0)
    x = n.node("Transpose", n.node("Identity", n.node(op, x, **attributes)), perm=[0, 2, 3, 1])
    x = n.node(
        "Cast",
        n.node("Flatten", n.node("Squeeze", n.node("Unsqueeze", x, n.integers(1)), n.integers(1))),
        to=1,
    )
    n.output(n.dense(x, 128, 3))
    return n.model(check=False)


@pytest.mark.parametrize("opset", [22, 23])
def test_later_opset_whose_operators_only_take_more_types(opset: int, assert_import_parity: Parity) -> None:
    graph = assert_import_parity(later_form(opset))
    assert operators(graph) == operators(import_onnx(later_form(21)))


@pytest.mark.parametrize("op", sorted(WIDENED))
def test_what_the_list_says_is_so(op: str) -> None:
    """Later versions take all types, inputs and attributes of before."""
    before, now = (defs.get_schema(op, v) for v in (OPSETS[-1], min(WIDENED[op], defs.onnx_opset_version())))
    assert op in IMPORTERS
    assert OPSETS[-1] < now.since_version <= WIDENED[op]
    types = [{t.type_param_str: set(t.allowed_type_strs) for t in s.type_constraints} for s in (before, now)]
    assert all(types[0][name] <= types[1][name] for name in types[0])
    for ports in ("inputs", "outputs"):
        assert [p.name for p in getattr(before, ports)] == [p.name for p in getattr(now, ports)]
    added = set(now.attributes) - set(before.attributes)
    assert added <= {"round_mode"}, "which is of 8-bit floats only"
    assert set(before.attributes) <= set(now.attributes)
    for name, attribute in before.attributes.items():
        assert attribute.default_value == now.attributes[name].default_value


def test_operator_that_changed_in_a_later_opset() -> None:
    newest = defs.onnx_opset_version()
    changed = [op for op in IMPORTERS if defs.has(op) and op not in WIDENED]
    changed = [op for op in changed if defs.get_schema(op, newest).since_version > OPSETS[-1]]
    for op in changed:  # as SpaceToDepth, which got a mode
        since = defs.get_schema(op, newest).since_version
        (problem,) = opset_problems(later_form(newest, op), IMPORTERS)
        assert problem == (
            f"{op} of opset {since} may differ from what it was up to opset 21 (the file's is {newest}); "
            "export with opset 21"
        )


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
def test_pooling_whose_windows_were_defined_anew(op: str) -> None:
    model = later_form(22, op, kernel_shape=[2, 2], ceil_mode=1)
    with pytest.raises(UsageError, match=f"{op} with ceil_mode of opset 22 may differ"):
        import_onnx(model)
    assert not opset_problems(later_form(21, op, kernel_shape=[2, 2], ceil_mode=1), IMPORTERS)


def test_opset_that_onnx_does_not_know() -> None:
    model = later_form(22)
    model.opset_import[0].version = onnx.defs.onnx_opset_version() + 1
    with pytest.raises(UsageError, match="expected opset 11 to 21"):
        import_onnx(model)
