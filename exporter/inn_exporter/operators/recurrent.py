"""What recurrent layers have in common: their axis rule, and how ONNX's are read.

A node of the canonical graph is one layer in one direction, with the batch first. Its own width is kept; what
stands before it is resized, and the columns of its input kernel follow that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View, new_axis
from .base import Operator

if TYPE_CHECKING:
    from .onnx_node import OnnxNode

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""ONNX's directions → whether each of the layers starts at the last step."""


class Recurrent(Operator):
    """Inputs are x (batch, steps, I), an input kernel with I columns, further constants, and last the states
    before the first step, (batch, 1, H), "" where they are zero; the output is (batch, rows, H).

    ``reverse``: it starts at the last step.
    """

    def axes(self, node: Node, structure: Structure) -> None:
        x, kernel, *others = node.inputs
        batch, steps, _ = structure.dims[x]
        structure.pin(steps)
        *rows, _ = structure.graph.shape(kernel)
        structure.set(kernel, [*map(fixed, rows), structure.integrated(x, 2)])
        for name in filter(None, others):
            if name in structure.graph.constants:
                structure.set(name, [*map(fixed, structure.graph.shape(name))])
            else:
                structure.pin(structure.dims[name][2])
        structure.set(node.output, [batch, *map(fixed, structure.graph.shape(node.output)[1:])])


def projected(x: Any, kernel: Any, bias: Any) -> Any:
    """x · Wᵀ + b of every step, (batch, steps, rows), in MindSpore."""
    rows = ops().matmul(ops().reshape(x, (-1, x.shape[-1])), kernel.T) + bias
    return ops().reshape(rows, (*x.shape[:-1], kernel.shape[0]))


def in_turn(node: Node, steps: int) -> list[int]:
    """The steps in the order in which a layer takes them."""
    return list(range(steps))[:: -1 if node.attributes["reverse"] else 1]


@dataclass(frozen=True)
class Direction:
    """One direction of an ONNX layer.

    Attributes
    ----------
    x : name of the canonical tensor (batch, steps, I)
    steps : how many
    kernel, recurrent, bias : W (G · H, I), R (G · H, H) and both biases, (2 · G · H,)
    states : names of the states before the first step, (batch, 1, H); "" where they are zero
    reverse : it starts at the last step
    """

    x: str
    steps: int
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    states: tuple[str, ...]
    reverse: bool

    @property
    def hidden(self) -> int:
        """H"""
        return self.recurrent.shape[1]

    def added(
        self, node: OnnxNode, op: str, constants: Sequence[str], shape: tuple[int, int], **more: Any
    ) -> str:
        """Name of the output of the canonical node that is this layer, ``shape`` behind the batch."""
        names = [self.x, *constants, *self.states]
        suffix = ".reverse" if self.reverse else ""
        return node.named(suffix, op, names, (1, *shape), {"reverse": self.reverse, **more})


Build = Callable[["OnnxNode", Direction], "tuple[str, str]"]
"""Adds a canonical node; returns the names of its outputs of all steps, (batch, steps, H), and of its cells
after the last, (batch, 1, H), if these are read."""


def recurrent_layer(node: OnnxNode, activations: Sequence[str], states: Sequence[int], build: Build) -> View:
    """An ONNX layer as canonical nodes, one for each direction, joined again.

    Parameters
    ----------
    activations : the only ones that are supported, in one direction
    states : which inputs of the ONNX node are the states before the first step

    Returns
    -------
    Its first output; what further outputs are is written.
    """
    batch_first = bool(node.integer("layout", 0))
    reversals = _reversals(node, activations)
    x = node.view(0).transposed((1, 0, 2)) if batch_first else node.view(0)
    if x.shape[1] != 1:
        raise node.unsupported(f"a sequence of shape {node.shape(0)}, whose batch is elsewhere")
    steps, _, inputs = x.shape
    if node.has(4) and not (node.is_constant(4) and (node.weight(4) == steps).all()):
        raise node.unsupported("sequences of different lengths")
    kernels = _kernels(node, len(reversals), inputs)
    hidden = kernels[1].shape[2]
    before = zip(*(_states(node, index, len(reversals), hidden, batch_first) for index in states))
    sequence = node.arranged(x, (x.dims[0], x.dims[2]))
    outputs, ends, cells = [], [], []
    for reverse, starts, weight, recurrent, bias in zip(reversals, before, *kernels):
        output, cell = build(node, Direction(sequence, steps, weight, recurrent, bias, starts, reverse))
        outputs.append(output)
        cells.append(cell)
        last = 0 if reverse else steps - 1
        if node.writes(1):
            ends.append(part(node, output, (1, steps, hidden), 1, last, last + 1))
    for index, tensors in ((1, ends), (2, cells)):
        if node.writes(index):
            view = _joined(node, tensors, 1, hidden)
            view = replace(view, dims=view.dims[1:])
            node.write(index, view.transposed((1, 0, 2)) if batch_first else view)
    view = _joined(node, outputs, steps, hidden)
    return view.transposed((2, 0, 1, 3)) if batch_first else view


def _reversals(node: OnnxNode, activations: Sequence[str]) -> tuple[bool, ...]:
    """Whether each direction starts at the last step. Raises where a layer is no ordinary one."""
    direction = node.text("direction", "forward")
    if direction not in _DIRECTIONS:
        raise node.unsupported(f"direction {direction!r}")
    reversals = _DIRECTIONS[direction]
    usual = [name.lower() for name in activations] * len(reversals)
    found = [name.lower() for name in node.texts("activations", usual)]
    if found != usual:
        raise node.unsupported(f"other activations than {', '.join(activations)}")
    if node.number("clip", 0.0):
        raise node.unsupported("gates that are clipped")
    return reversals


def _kernels(node: OnnxNode, directions: int, inputs: int) -> list[np.ndarray]:
    """W (directions, G · H, I), R (directions, G · H, H) and both biases, (directions, 2 · G · H)."""
    weight, recurrent = node.weight(1), node.weight(2)
    _, rows, hidden = recurrent.shape
    bias = node.weight(3) if node.has(3) else np.zeros((directions, 2 * rows), np.float32)
    expected = [(directions, rows, inputs), (directions, rows, hidden), (directions, 2 * rows)]
    for index, (values, shape) in enumerate(zip((weight, recurrent, bias), expected), 1):
        if values.shape != shape:
            raise node.unsupported(f"input {index} of shape {values.shape}, expected {shape}")
    return [weight, recurrent, bias]


def _states(node: OnnxNode, index: int, directions: int, hidden: int, batch_first: bool) -> list[str]:
    """The state before the first step, (batch, 1, H), of each direction."""
    if not node.has(index):
        return [""] * directions
    if node.is_constant(index):
        if node.weight(index).any():
            raise node.unsupported(
                f"a constant first state (input {index}) that is not zero: make it an input"
            )
        return [""] * directions
    view = node.view(index).transposed((1, 0, 2)) if batch_first else node.view(index)
    if view.shape != (directions, 1, hidden):
        raise node.unsupported(f"a first state of shape {node.shape(index)}")
    both = node.arranged(view, (view.dims[0], view.dims[2]))
    return [part(node, both, (1, directions, hidden), 1, d, d + 1) for d in range(directions)]


def part(node: OnnxNode, tensor: str, shape: Sequence[int], axis: int, start: int, stop: int) -> str:
    """From ``start`` to ``stop`` of one axis of a canonical tensor of ``shape``."""
    full = shape[axis]
    if (start, stop) == (0, full):
        return tensor
    kept = tuple(stop - start if place == axis else size for place, size in enumerate(shape))
    cut = {"starts": (start,), "ends": (stop,), "axes": (axis,), "steps": (1,)}
    return node.insert("Slice", [tensor], kept, **cut, length=full)


def _joined(node: OnnxNode, tensors: Sequence[str], rows: int, hidden: int) -> View:
    """Tensors (batch, rows, H), one for each direction, as (rows, directions, batch, H)."""
    steps, width = new_axis(rows), new_axis(hidden)
    directions = new_axis(len(tensors))
    tensor = tensors[0]
    if len(tensors) > 1:
        tensor = node.insert("Concat", tensors, (1, rows, len(tensors) * hidden), axis=2)
    return View(tensor, (steps, (*directions, *width)), (steps, directions, (), width))
