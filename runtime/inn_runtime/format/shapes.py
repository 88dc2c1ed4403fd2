"""Shape rules of primitives (`shape_rules` names them): shapes in, the output's shape out.

They are stricter than the engine, which checks little and then reads and writes where the shapes would lead.
Shapes are the engine's: images are NHWC, weights (O, kh, kw, I / group). The C++ core has the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]

MAX_RANK = 8
MAX_ELEMENTS = (1 << 29) - 1
"""Of a tensor: the engine counts its bytes in 32 bits."""

MAX_TRANSPOSED = 6
"""Dimensions that the engine can turn; it crashes at 8."""

ALIGN_CORNERS = 1

MAX_DISTANT_WINDOWS = 1024
"""Windows in the leading padding that are looked at one by one, where a dilation is larger than the image."""


class MisfitError(Exception):
    """Shapes or attributes that do not fit each other; says what was expected and what was found."""


@dataclass(frozen=True)
class Operands:
    """What a node computes with, at some widths.

    Attributes
    ----------
    shapes : of its inputs
    integers : the values of its inputs that are constants, None for the others
    attributes : values by name; optional ones may be missing
    batched : whether the network runs on more than one image at a time
    """

    shapes: Sequence[Shape]
    integers: Sequence[Sequence[int] | None]
    attributes: Mapping[str, Any]
    batched: bool

    def numbers(self, position: int) -> Sequence[int]:
        """A vector of constants."""
        values = self.integers[position]
        assert values is not None  # the kinds of inputs have been checked
        expect(f"input {position}", "a vector", self.shapes[position], len(self.shapes[position]) == 1)
        return values


def expect(what: str, expected: object, found: object, good: bool) -> None:
    """Raise `MisfitError` unless ``good``."""
    if not good:
        raise MisfitError(f"{what}: expected {_text(expected)}, found {_text(found)}")


def equal(what: str, expected: object, found: object) -> None:
    expect(what, expected, found, expected == found)


def _text(value: object) -> str:
    return str(list(value)) if isinstance(value, (tuple, list)) else str(value)


def _image(shape: Shape) -> Shape:
    expect("input 0", "4 dimensions", shape, len(shape) == 4)
    return shape


def _axis(axis: int, rank: int) -> int:
    expect("axis", f"{-rank} to {rank - 1}", axis, -rank <= axis < rank)
    return axis % rank


def same(node: Operands) -> Shape:
    """Element by element."""
    return node.shapes[0]


def image(node: Operands) -> Shape:
    """Element by element, of images."""
    return _image(node.shapes[0])


def softmax(node: Operands) -> Shape:
    _axis(node.attributes["axis"][0], len(node.shapes[0]))
    return node.shapes[0]


def broadcast(node: Operands) -> Shape:
    """Element by element of two tensors, as NumPy broadcasts them."""
    first, second = node.shapes
    rank = max(len(first), len(second))
    pairs = list(zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second))
    expect("input 1", f"a shape like {_text(first)}", second, all(a == b or 1 in (a, b) for a, b in pairs))
    return tuple(max(pair) for pair in pairs)


def power(node: Operands) -> Shape:
    """The engine gives it the first input's shape, whatever the second is."""
    equal("input 1, broadcast", node.shapes[0], broadcast(node))
    return node.shapes[0]


def concat(node: Operands) -> Shape:
    first = node.shapes[0]
    expect("input 0", "1 dimension or more", first, len(first) > 0)
    axis, total = _axis(node.attributes["axis"], len(first)), 0
    for position, shape in enumerate(node.shapes):
        equal(f"input {position}", (*first[:axis], *shape[axis : axis + 1], *first[axis + 1 :]), shape)
        total += shape[axis]
    return (*first[:axis], total, *first[axis + 1 :])


def flatten(node: Operands) -> Shape:
    shape = node.shapes[0]
    expect("input 0", "1 dimension or more", shape, len(shape) > 0)
    return (shape[0], math.prod(shape[1:]))


def gather(node: Operands) -> Shape:
    shape, indices, axes = node.shapes[0], node.numbers(1), node.numbers(2)
    expect("axis", "1 number", axes, len(axes) == 1)
    axis = _axis(axes[0], len(shape))
    expect("indices", "1 or more", 0, len(indices) > 0)
    for index in indices:
        expect("index", f"0 to {shape[axis] - 1}", index, 0 <= index < shape[axis])
    return (*shape[:axis], len(indices), *shape[axis + 1 :])


def matmul(node: Operands) -> Shape:
    """(…, m, k) times (k, n) or (n, k), or as many of these; plus n."""
    first, second, *bias = node.shapes
    expect("input 0", "2 dimensions or more", first, len(first) > 1)
    turned = node.attributes["transpose_b"]
    lead = second[:-2] if len(second) == 2 else first[:-2]
    outputs = second[-2 if turned else -1] if len(second) > 1 else 1
    equal("input 1", (*lead, outputs, first[-1]) if turned else (*lead, first[-1], outputs), second)
    for shape in bias:
        equal("bias", (outputs,), shape)
    return (*first[:-1], outputs)


def _last(node: Operands) -> Shape:
    shape, *weights = node.shapes
    expect("input 0", "1 dimension or more", shape, len(shape) > 0)
    for position, weight in enumerate(weights, 1):
        equal(f"input {position}", shape[-1:], weight)
    return shape


def layer_norm(node: Operands) -> Shape:
    return _last(node)


def instance_norm(node: Operands) -> Shape:
    _image(node.shapes[0])
    return _last(node)


def prelu(node: Operands) -> Shape:
    shape, slope = node.shapes
    expect("input 0", "1 dimension or more", shape, len(shape) > 0)
    count = 1 if node.attributes["channel_shared"] else shape[-1]
    expect("slope", f"{count} values", slope, slope[:1] == (count,) and math.prod(slope) == count)
    return shape


def pad(node: Operands) -> Shape:
    shape, pads = node.shapes[0], node.integers[1] or ()
    equal("pads", (len(shape), 2), node.shapes[1])
    result = []
    for axis, length in enumerate(shape):
        before, after = pads[2 * axis : 2 * axis + 2]
        most = length - 1 if node.attributes["padding_mode"] else MAX_ELEMENTS
        expect("pads", f"0 to {most}", (before, after), 0 <= before <= most and 0 <= after <= most)
        result.append(before + length + after)
    return tuple(result)


def reduce(node: Operands) -> Shape:
    shape, axes = node.shapes[0], node.numbers(1)
    rank = len(shape)
    good = len(axes) > 0 and len(set(axes)) == len(axes) and all(0 <= axis < rank for axis in axes)
    expect("axes", f"different ones, 0 to {rank - 1}", axes, good)
    return tuple(1 if axis in axes else length for axis, length in enumerate(shape))


def reshape(node: Operands) -> Shape:
    shape, wanted = node.shapes[0], node.numbers(1)
    expect("shape", f"at most {MAX_RANK} dimensions", len(wanted), len(wanted) <= MAX_RANK)
    good = all(length > 0 or length == -1 for length in wanted) and wanted.count(-1) <= 1
    expect("shape", "lengths from 1, and -1 at most once", wanted, good)
    count, known = math.prod(shape), math.prod(length for length in wanted if length > 0)
    fits = count % known == 0 if -1 in wanted else count == known
    expect("shape", f"a shape of {count} elements", wanted, fits)
    return tuple(count // known if length == -1 else length for length in wanted)


def resize(node: Operands) -> Shape:
    batch, _, _, channels = _image(node.shapes[0])
    sizes = node.numbers(1)
    good = len(sizes) == 2 and all(0 < size <= MAX_ELEMENTS for size in sizes)
    expect("sizes", "a height and a width", sizes, good)
    corners = node.attributes["coordinate_transform_mode"] == ALIGN_CORNERS
    expect("sizes", "2 or more, with aligned corners", sizes, not corners or min(sizes) > 1)
    return (batch, *sizes, channels)


def depth_to_space(node: Operands) -> Shape:
    batch, height, width, channels = _image(node.shapes[0])
    block = node.attributes["block_size"]
    expect("input 0", f"channels in blocks of {block * block}", channels, channels % (block * block) == 0)
    return (batch, height * block, width * block, channels // (block * block))


def space_to_depth(node: Operands) -> Shape:
    batch, height, width, channels = _image(node.shapes[0])
    block = node.attributes["block_size"]
    good = height % block == width % block == 0
    expect("input 0", f"multiples of {block}", (height, width), good)
    return (batch, height // block, width // block, channels * block * block)


def slice_(node: Operands) -> Shape:
    """StridedSlice: from ``begin`` to before ``end`` along each of ``axes``."""
    result = list(node.shapes[0])
    begins, ends, axes, strides = (node.numbers(position) for position in (1, 2, 3, 4))
    counts = [len(begins), len(ends), len(axes), len(strides)]
    expect("begin, end, axes, strides", "equally many", counts, len(set(counts)) == 1 and counts[0] > 0)
    rank = len(result)
    good = len(set(axes)) == len(axes) and all(0 <= axis < rank for axis in axes)
    expect("axes", f"different ones, 0 to {rank - 1}", axes, good)
    for begin, end, axis, stride in zip(begins, ends, axes, strides):
        within = 0 <= begin < end <= result[axis]
        expect("begin and end", f"a part of 0 to {result[axis]}", (begin, end), within)
        expect("stride", f"1 to {result[axis]}", stride, 0 < stride <= result[axis])
        result[axis] = -(-(end - begin) // stride)
    return tuple(result)


def transpose(node: Operands) -> Shape:
    shape, order = node.shapes[0], node.numbers(1)
    expect("order", f"each of 0 to {len(shape) - 1} once", order, sorted(order) == list(range(len(shape))))
    expect("input 0", f"at most {MAX_TRANSPOSED} dimensions", len(shape), len(shape) <= MAX_TRANSPOSED)
    return tuple(shape[axis] for axis in order)


def _windows(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """How many windows there are along a dimension; each must see a part of the image, or the engine reads
    or writes outside its memory."""
    room = size + before + after - ((kernel - 1) * dilation + 1)
    expect("kernel", f"a window within {size + before + after} with its padding", kernel, room >= 0)
    count = room // stride + 1
    leading = -(-before // stride)
    seen = leading <= count and (count - 1) * stride - before < size
    if dilation <= size:  # the first window is the farthest
        seen = seen and -(-before // dilation) < kernel
    else:
        seen = seen and leading <= MAX_DISTANT_WINDOWS
        for start in range(-before, 0, stride) if seen else ():
            seen = seen and -(start // dilation) < kernel and start % dilation < size
    expect("padding", "windows that see a part of the image", (before, after), seen)
    return count


def convolution(node: Operands) -> Shape:
    batch, height, width, channels = _image(node.shapes[0])
    a, weight = node.attributes, node.shapes[1]
    group, outputs = a["group"], a["out_channel"]
    equal("in_channel", channels, a["in_channel"])
    good = channels % group == outputs % group == 0
    expect("group", f"a divisor of {channels} and {outputs}", group, good)
    equal("weight", (outputs, *a["kernel_size"], channels // group), weight)
    for bias in node.shapes[2:]:
        equal("bias", (outputs,), bias)
    # MindSpore Lite 2.0 reads beyond its memory.
    alone = group == 1 or group == channels == outputs or not node.batched
    expect("one_image", "true, with groups", "false", alone)
    pads = a["pad_list"]
    spans = zip((height, width), a["kernel_size"], a["stride"], a["dilation"], pads[::2], pads[1::2])
    rows, columns = (_windows(*span) for span in spans)
    return (batch, rows, columns, outputs)


def deconvolution(node: Operands) -> Shape:
    batch, height, width, channels = _image(node.shapes[0])
    a, weight = node.attributes, node.shapes[1]
    group, outputs = a["group"], a["out_channel"]
    equal("in_channel", channels, a["in_channel"])
    expect("group", f"1, or {channels} channels each by itself", group, group in (1, channels))
    if group > 1:
        equal("out_channel", channels, outputs)
        equal("dilation", (1, 1), a["dilation"])
    kernel = a["kernel_size"]
    equal("weight", (channels, *kernel, outputs // group), weight)
    for bias in node.shapes[2:]:
        equal("bias", (outputs,), bias)
    lengths = []
    for axis, size in enumerate((height, width)):
        span, stride = (kernel[axis] - 1) * a["dilation"][axis] + 1, a["stride"][axis]
        before, after = a["pad_list"][2 * axis : 2 * axis + 2]
        more = a["output_paddings"][axis]
        most = max(stride, a["dilation"][axis])
        expect("output_paddings", f"less than {most}", more, more < most)
        lengths.append((size - 1) * stride + span + more - before - after)
        expect("pad_list", "an output of 1 or more", lengths[-1], lengths[-1] > 0)
    return (batch, *lengths, outputs)


def pool(node: Operands) -> Shape:
    batch, height, width, channels = _image(node.shapes[0])
    a = node.attributes
    kernel, pads = a["kernel_size"], a["pad"]
    if a.get("global"):
        plain = (kernel, a["strides"], pads) == ((1, 1), (1, 1), (0, 0, 0, 0))
        expect("global", "kernel_size and strides of 1, no pad", "others", plain)
        return (batch, 1, 1, channels)
    spans = zip((height, width), kernel, a["strides"], (1, 1), pads[::2], pads[1::2])
    rows, columns = (_windows(*span) for span in spans)
    return (batch, rows, columns, channels)
