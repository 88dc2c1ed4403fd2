"""What an operator must be able to say about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from inn_runtime.format.manifest import Dimension

from ..graph.graph import Node
from ..graph.structure import Structure

if TYPE_CHECKING:
    from onnx import NodeProto

    from .lowering import LoweringContext


class OnnxStep(NamedTuple):
    """An ONNX node: names of its tensors, attributes, and constants that are further inputs."""

    op: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]
    constants: dict[str, Any]
    outputs: tuple[str, ...] = ()
    """All outputs, where ``output`` is one of several."""


class Operator:
    """An operator of the canonical graph; its name and inputs are ONNX's.

    Class attributes
    ----------------
    onnx_op : what ONNX calls it, where not as here
    onnx_inputs : attributes that ONNX takes as trailing inputs, in the opsets that have them so
    fuses_activation : MindSpore Lite's primitive can apply a following Relu or Relu6 itself
    linear : inputs are x, W, b and the output is linear in x plus b, one value per output channel; W has
        the output channel first
    channel_axis : of a linear operator's input and output
    mixes : mixing the channels of all inputs alike mixes those of the output likewise
    is_sum, is_product : of two tensors, element by element
    is_contraction : sums products of two activations over a dimension of both
    is_global_mean : takes means over all positions
    gives_probabilities : makes probabilities of scores
    only_moves : the output holds the input's elements, in another order or shape
    own_rows : linear: each output channel has rows of W of its own, over all input channels
    """

    onnx_op: ClassVar[str | None] = None
    onnx_inputs: ClassVar[tuple[str, ...]] = ()
    fuses_activation: ClassVar[bool] = False
    linear: ClassVar[bool] = False
    channel_axis: ClassVar[int] = 1
    mixes: ClassVar[bool] = False
    is_sum: ClassVar[bool] = False
    is_product: ClassVar[bool] = False
    is_contraction: ClassVar[bool] = False
    is_global_mean: ClassVar[bool] = False
    gives_probabilities: ClassVar[bool] = False
    only_moves: ClassVar[bool] = False
    own_rows: ClassVar[bool] = True

    def axes(self, node: Node, structure: Structure) -> None:
        """Axis rule: set the dims of the node's outputs and constants, unite what must stay equal."""
        raise NotImplementedError

    def settled(self, node: Node, dims: Mapping[str, tuple[Dimension, ...]]) -> Node:
        """The node once it is known which dimensions follow a group, where its attributes must tell."""
        return node

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        """The node's output from its inputs (MindSpore tensors, NCHW, any batch; None where absent)."""
        raise NotImplementedError

    def unfold(self, node: Node, x: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """Linear operators: the patches that W multiplies, (blocks, features, samples), in W's order.

        There is one block, or where every output channel sees only its own input channel, one for each.
        x is (images, I, …); samples run over images and the output positions given (indices into a
        flattened channel; all by default).
        """
        raise NotImplementedError

    def limits(self, node: Node) -> tuple[float, float]:
        """Activations: below and above which values the output does not depend on the input."""
        return -math.inf, math.inf

    def engine_activation(self, node: Node) -> int | None:
        """Activations: the engine's number, where another primitive can apply it to its own output."""
        return None

    def slice_of(self, node: Node, axis: int) -> range | None:
        """Which indices of an input's axis the node takes, if that is all it does."""
        return None

    def sees_one_position(self, node: Node, kernel: Sequence[int]) -> bool:
        """Linear: whether each output position is made of one whole input position, never of padding; W has
        the shape ``kernel``."""
        return math.prod(kernel[2:]) == 1 and not any(node.attributes.get("pads", ()))

    def mixes_along(self, node: Node, along: Mapping[str, int]) -> bool:
        """Whether rotating channels alike rotates those of the output likewise.

        ``along`` says of each tensor of the node that has these channels which dimension they are, counted
        from the end. An operand that is broadcast along them is the same for all, and mixed for none.
        """
        return self.mixes and along.keys() == {*filter(None, node.inputs), *node.outputs}

    def onnx_attributes(self, node: Node) -> dict[str, Any]:
        """The ONNX node's attributes, those that are inputs among them."""
        return dict(node.attributes)

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        """What it is in ONNX: what opset 17 says; other opsets may say it otherwise (`onnx_forms`)."""
        attributes, inputs = self.onnx_attributes(node), list(node.inputs)
        constants = {name: attributes.pop(name) for name in self.onnx_inputs}
        return [OnnxStep(self.onnx_op or node.op, inputs, node.output, attributes, constants)]

    def onnx_since(self, node: Node, shape: Sequence[int]) -> int:
        """The first opset in which `onnx_nodes` mean what they should, where that is not as their operators
        are defined there; ``shape`` is the output's."""
        return 0

    def onnx_permutation(self, node: Node, name: str) -> tuple[int, ...] | None:
        """Axes of the ONNX constant ``name`` in the graph's order, where the layouts differ."""
        return None

    def resize_onnx(self, node: NodeProto, constants: Mapping[str, np.ndarray]) -> None:
        """Adapt what depends on widths in the ONNX node of a network with resized ``constants``."""

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """Emit the node as MindSpore Lite primitives."""
        raise NotImplementedError
