"""Where operators and their importers are looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Union

from ..graph.graph import Node
from .base import Operator

if TYPE_CHECKING:
    from ..graph.view import View
    from .onnx_node import OnnxNode

Importer = Callable[["OnnxNode"], Union[Node, "View"]]

OPERATORS: dict[str, Operator] = {}
IMPORTERS: dict[str, Importer] = {}
SEVERAL_OUTPUTS: set[str] = set()


def register(cls: type[Operator]) -> type[Operator]:
    """Class decorator: the operator's name is its class's."""
    OPERATORS[cls.__name__] = cls()
    return cls


def imports(op_type: str, several_outputs: bool = False) -> Callable[[Importer], Importer]:
    """Decorator of a function that turns an ONNX node of ``op_type`` into a canonical node, or into a view of
    a tensor.

    ``several_outputs``: it says what the outputs after the first are (`OnnxNode.write`).
    """

    def add(function: Importer) -> Importer:
        IMPORTERS[op_type] = function
        if several_outputs:
            SEVERAL_OUTPUTS.add(op_type)
        return function

    return add


def operator(node: Node) -> Operator:
    """The operator of a node."""
    return OPERATORS[node.op]
