"""What an operator's importer sees of an ONNX node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from ..graph.graph import Node
from ..graph.view import View, ViewAxis, length
from .graph_builder import GraphBuilder


class UnsupportedNodeError(Exception):
    """This node cannot be imported; the importer collects them into one error."""


class OnnxNode:
    """An ONNX node with its constants and shapes at hand, and helpers to build canonical nodes."""

    def __init__(self, proto: NodeProto, builder: GraphBuilder) -> None:
        self._proto = proto
        self._builder = builder
        self._attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
        self._written = next(filter(None, proto.output), "")
        self.name = proto.name or self._written or proto.op_type
        self.opset = builder.opset
        self.is_standard = proto.domain in ("", "ai.onnx")

    # ------------------------------------------------------------------ reading
    def has(self, index: int) -> bool:
        """Whether the optional input is given."""
        return index < len(self._proto.input) and bool(self._proto.input[index])

    def input(self, index: int) -> str:
        """Name of an activation input, batch first."""
        if self.shape(index)[:1] != (1,):
            raise self.unsupported(f"an input of shape {self.shape(index)}, whose batch comes later")
        return self.stacked(index)

    def stacked(self, index: int) -> str:
        """Name of an activation input; where another dimension comes first, the batch stands before it."""
        view = self.view(index)
        return self.arranged(view, view.dims[view.shape[0] == 1 :])

    def view(self, index: int) -> View:
        """An activation input as a view of a canonical tensor."""
        name = self._proto.input[index]
        if name in self._builder.values:
            raise self.unsupported(f"input {index} is a constant")
        self._shape(name)  # a view needs it
        return self._builder.view(name)

    @property
    def input_count(self) -> int:
        return len(self._proto.input)

    @property
    def output_count(self) -> int:
        return len(self._proto.output)

    def writes(self, index: int) -> bool:
        """Whether the optional output is named."""
        return index < len(self._proto.output) and bool(self._proto.output[index])

    def is_constant(self, index: int) -> bool:
        return self._proto.input[index] in self._builder.values

    def constant_name(self, index: int) -> str:
        """Name of a constant input, kept in the canonical graph."""
        name = self._proto.input[index]
        return self._builder.add_constant(name, self.weight(index))

    def weight(self, index: int) -> np.ndarray:
        """Values of a constant input, finite; floats as float32."""
        name, values = self._values(index)
        self._builder.require_finite(name, values)
        return values.astype(np.float32) if values.dtype.kind == "f" else values

    def scalar(self, index: int) -> float:
        """The only value of a constant input; may be infinite."""
        name, values = self._values(index)
        if values.size != 1:
            raise self.unsupported(f"input {index} ({name!r}) holds {values.size} values, expected one")
        return float(values.item())

    def _values(self, index: int) -> tuple[str, np.ndarray]:
        name = self._proto.input[index]
        if name not in self._builder.values:
            raise self.unsupported(f"input {index} ({name!r}) is not a constant")
        return name, self._builder.values[name]

    def producer(self, index: int) -> Node | None:
        """The canonical node that writes an input; it is dropped where nothing else reads it."""
        return self._builder.producer(self.input(index))

    def maker(self, tensor: str) -> Node | None:
        """The canonical node that writes a canonical tensor; None for the network's inputs and constants."""
        return self._builder.producer(tensor)

    def constant_value(self, name: str) -> np.ndarray | None:
        """Values of a constant of the canonical graph; None where ``name`` is an activation."""
        return self._builder.constant(name)

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of an activation input, batch 1."""
        return self._shape(self._proto.input[index])

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self._shape(self._proto.output[0])

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self._builder.values:
            return self._builder.values[name].shape
        if name not in self._builder.shapes:
            raise self.unsupported(f"the shape of {name!r} cannot be inferred")
        return self._builder.shapes[name]

    def kind(self, index: int) -> str:
        """NumPy's name of an activation input's type."""
        return self._builder.kinds.get(self._proto.input[index], "an unknown type")

    def integer(self, name: str, default: int) -> int:
        return int(self._attributes.get(name, default))

    def number(self, name: str, default: float) -> float:
        return float(self._attributes.get(name, default))

    def integers(self, name: str, default: Iterable[int]) -> list[int]:
        return [int(value) for value in self._attributes.get(name, default)]

    def text(self, name: str, default: str) -> str:
        value = self._attributes.get(name, default.encode())
        return value.decode(errors="replace")

    def texts(self, name: str, default: Iterable[str]) -> list[str]:
        return [
            value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            for value in self._attributes.get(name, default)
        ]

    def window(self, kernel: Sequence[int], size: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """A window over ``size``: ``strides``, ``dilations`` and ``pads`` (top, left, bottom, right)."""
        rank = len(size)
        strides = self.integers("strides", [1] * rank)
        dilations = self.integers("dilations", [1] * rank)
        pads = self.integers("pads", [0] * (2 * rank))
        mode = self._auto_pad()
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            totals = [
                max(0, (-(-length // stride) - 1) * stride + (k - 1) * dilation + 1 - length)
                for length, k, stride, dilation in zip(size, kernel, strides, dilations)
            ]
            pads = _shared_out(totals, mode)
        elif mode == "VALID":
            pads = [0] * (2 * rank)
        return {"strides": tuple(strides), "dilations": tuple(dilations), "pads": tuple(pads)}

    def transposed_window(self, kernel: Sequence[int], size: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """A window that every position of ``size`` writes: as `window`, and ``output_padding``.

        Pads are what is cut off the union of all windows, which ``output_padding`` (height, width) makes
        larger at the bottom and the right.
        """
        rank = len(size)
        strides = self.integers("strides", [1] * rank)
        dilations = self.integers("dilations", [1] * rank)
        pads = self.integers("pads", [0] * (2 * rank))
        extra = self.integers("output_padding", [0] * rank)
        mode = self._auto_pad()
        target = self.integers("output_shape", ())
        if not target and mode in ("SAME_UPPER", "SAME_LOWER"):
            if any(extra):
                raise self.unsupported(f"auto_pad {mode!r} with an output padding")
            target = [length * stride for length, stride in zip(size, strides)]
        if target:
            union = [
                (length - 1) * stride + (k - 1) * dilation + 1 + more
                for length, k, stride, dilation, more in zip(size, kernel, strides, dilations, extra)
            ]
            if len(target) != rank or any(t > u for t, u in zip(target, union)):
                raise self.unsupported(f"an output of {target}, where all windows together cover {union}")
            pads = _shared_out([u - t for t, u in zip(target, union)], mode)
        elif mode == "VALID":
            pads = [0] * (2 * rank)
        if any(more >= stride for more, stride in zip(extra, strides)):
            raise self.unsupported("an output padding that is not smaller than the stride")
        lists = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": extra}
        return {name: tuple(values) for name, values in lists.items()}

    def _auto_pad(self) -> str:
        mode = self.text("auto_pad", "NOTSET")
        if mode not in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"):
            raise self.unsupported(f"auto_pad {mode!r}")
        return mode

    # ------------------------------------------------------------------ building
    def arranged(self, view: View, axes: Sequence[ViewAxis]) -> str:
        """Name of a tensor that holds what a view shows, with ``axes`` after the batch."""
        return self._builder.arranged(view, axes, self._written)

    def whole(self, view: View) -> View:
        """A view of a tensor whose axes are the view's dimensions, without the first where that is 1."""
        axes = view.dims[view.shape[0] == 1 :]
        return View(self.arranged(view, axes), axes, view.dims)

    def in_one_row(self) -> tuple[str, View]:
        """A sequence (batch, channels, length) as images one pixel high, and how such an output is one."""
        _, channels, length = self.shape(0)
        image = self.seen_as(self.view(0).reshaped((1, channels, 1, length)))
        _, outputs, extent = self.output_shape
        whole = View.whole("", (1, outputs, 1, extent))
        return self.arranged(image, image.dims[1:]), replace(whole, dims=(*whole.dims[:2], whole.dims[3]))

    def computed(self, op: str, inputs: Sequence[str], view: View, **attributes: Any) -> Node | View:
        """A canonical node whose output, seen as ``view``, is this one's."""
        if view.is_whole:
            return self.canonical(op, inputs, **attributes)
        return self.between(op, inputs, view, **attributes)

    def between(self, op: str, inputs: Sequence[str], view: View, **attributes: Any) -> View:
        """A canonical node on the way to this one's output, seen as ``view``."""
        shape = (1, *map(length, view.axes))
        return replace(view, tensor=self.named("", op, inputs, shape, attributes))

    def named(
        self, suffix: str, op: str, inputs: Sequence[str], shape: tuple[int, ...], attributes: dict[str, Any]
    ) -> str:
        """Put a canonical node before this one, with this one's name and a suffix; returns the name of its
        output, which has ``shape``."""
        return self._builder.insert(op, self._written, tuple(inputs), shape, attributes, self.name + suffix)

    def pointwise(self, op: str, **attributes: Any) -> Node | View:
        """A canonical node that treats every element of the first input by itself."""
        view = self.view(0)
        return self.computed(op, [view.tensor], view, **attributes)

    def seen_as(self, view: View | None) -> View:
        """This node moves elements only: its output is ``view``."""
        if view is None:
            raise self.unsupported(f"{self.shape(0)} as {self.output_shape}: blocks that do not correspond")
        return view

    def canonical(self, op: str, inputs: Sequence[str], **attributes: Any) -> Node:
        """The node that replaces this one."""
        return Node(op, self.name, tuple(inputs), (self._proto.output[0],), attributes)

    def write(self, output: int, result: Node | View) -> None:
        """Say what an output after the first is."""
        self._builder.write(self._proto.output[output], result)

    def new_constant(self, suffix: str, values: np.ndarray, of: int | None = None) -> str:
        """Add a constant, named after input ``of`` where it is derived from that, else after the node."""
        named = of is not None and self.has(of)
        stem = self._proto.input[of] if named and of is not None else f"{self.name}.{suffix}"
        return self._builder.add_constant(stem, values)

    def insert(self, op: str, inputs: Sequence[str], shape: tuple[int, ...], **attributes: Any) -> str:
        """Put a canonical node before this one; returns the name of its output, which has ``shape``."""
        return self._builder.insert(op, self._written, tuple(inputs), shape, attributes)

    def identity(self) -> View:
        """This node does nothing: its consumers read its input."""
        return self.view(0)

    def unsupported(self, reason: str) -> UnsupportedNodeError:
        """The error to raise; names the node, its operator and its attributes."""
        attributes = ", ".join(f"{k}={_brief(v)}" for k, v in sorted(self._attributes.items()))
        return UnsupportedNodeError(f"{self.name}: {self._proto.op_type}({attributes}): {reason}")


def _shared_out(totals: Sequence[int], mode: str) -> list[int]:
    """Pads (top, left, bottom, right) from totals per axis; the odd one goes where ``auto_pad`` says."""
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return [*small, *large] if mode == "SAME_UPPER" else [*large, *small]


def _brief(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value).replace("\n", " ")
    return text if len(text) <= 40 else text[:37] + "..."
