"""The canonical graph of a file in the making: what importers of single nodes write to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from inn_runtime.errors import UsageError

from ..graph.graph import Node
from ..graph.view import View, ViewAxis, joined_runs, length


class GraphBuilder:
    """Canonical nodes and constants of a file, as far as they are known.

    Parameters
    ----------
    label : what error messages call the file
    opset : version of its operator set
    values : its constants
    shapes : shape of every activation, batch 1; those of nodes that are inserted are added
    kinds : NumPy's name of its type

    Attributes
    ----------
    nodes, constants : of the canonical graph
    """

    def __init__(
        self,
        label: str,
        opset: int,
        values: Mapping[str, np.ndarray],
        shapes: dict[str, tuple[int, ...]],
        kinds: Mapping[str, str],
    ) -> None:
        self.opset, self.values, self.shapes, self.kinds = opset, values, shapes, kinds
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list[Node] = []
        self._label = label
        self._views: dict[str, View] = {}
        self._arranged: dict[tuple[str, tuple[ViewAxis, ...]], str] = {}

    def view(self, name: str) -> View:
        """What a tensor of the file is in the canonical graph."""
        if name not in self._views:
            self._views[name] = View.whole(name, self.shapes[name])
        return self._views[name]

    def arranged(self, view: View, axes: Sequence[ViewAxis], before: str) -> str:
        """A canonical tensor with what a view shows, ``axes`` after the batch; nodes that make it are put in
        front of the one that writes tensor ``before``."""
        key = view.tensor, tuple(axes)
        if key not in self._arranged:
            self._arranged[key] = self._arrange(view, [*axes], before)
        return self._arranged[key]

    def _arrange(self, view: View, axes: list[ViewAxis], before: str) -> str:
        tensor, found, shape = view.tensor, [*view.axes], (1, *map(length, axes))

        def step(op: str, shape: tuple[int, ...], /, **attributes: Any) -> str:
            return self.insert(op, before, (tensor,), shape, attributes)

        if found == axes:
            return tensor
        order = [factor for axis in axes for factor in axis]
        if [factor for axis in found for factor in axis] == order:
            if len(axes) == 1:
                return step("Flatten", shape, axis=1)
            if len(found) == 1 and shape[2:] == (1, 1):
                return step("Unsqueeze", shape, axes=(2, 3))
            return step("Reshape", shape, shape=(0, *shape[1:]))
        if len(found) == 3 and found[1:] == axes[1:] and axes[0] == found[0][::-1] and len(axes[0]) == 2:
            return step("ChannelShuffle", shape, groups=found[0][0].size, shape=shape)
        known = [axis for axis in found if axis]
        if {*known} == {*axes} - {()}:
            parts = known  # whole axes change places
        else:
            parts = joined_runs([factor for axis in found for factor in axis], order)
        if parts != found:
            cut = (1, *map(length, parts))
            tensor = step("Reshape", cut, shape=(0, *cut[1:]))
        places = sorted(range(len(parts)), key=lambda part: order.index(parts[part][0]))
        turned = (1, *(length(parts[place]) for place in places))
        tensor = step("Transpose", turned, perm=(0, *(1 + place for place in places)))
        return tensor if turned == shape else step("Reshape", shape, shape=(0, *shape[1:]))

    def require_finite(self, name: str, values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            raise UsageError(f"{self._label}: constant {name!r} holds values that are not finite")

    def add_constant(self, stem: str, values: np.ndarray) -> str:
        """Keep a constant; where the name is taken, by other values or an activation, it gets a number."""
        self.require_finite(stem, values)
        name, number = stem, 1
        while name in self.shapes or (name in self.constants and not _same(self.constants[name], values)):
            name, number = f"{stem}.{number}", number + 1
        self.constants[name] = np.ascontiguousarray(values, np.float32)
        return name

    def producer(self, tensor: str) -> Node | None:
        """The canonical node that writes a tensor."""
        return next((node for node in reversed(self.nodes) if node.output == tensor), None)

    def constant(self, name: str) -> np.ndarray | None:
        """Values of a constant of the canonical graph."""
        return self.constants.get(name)

    def write(self, name: str, result: Node | View) -> None:
        """Say what a tensor of the file is."""
        if isinstance(result, View):
            self._views[name] = result
        else:
            self.nodes.append(result)

    def insert(
        self,
        op: str,
        before: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        attributes: dict[str, Any],
        name: str | None = None,
    ) -> str:
        """Add a node in front of the one that writes tensor ``before``; returns its output."""
        output, number = f"{before}:{op}", 1
        while output in self.shapes:
            output, number = f"{before}:{op}.{number}", number + 1
        self.nodes.append(Node(op, name or output, inputs, (output,), attributes))
        self.shapes[output] = shape
        return output


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)
