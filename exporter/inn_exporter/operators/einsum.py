"""Einstein sums that are matrix products: of an activation and a constant, or of two activations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..graph.graph import Node
from ..graph.view import View
from .dense import along_last
from .registry import imports

if TYPE_CHECKING:
    from .onnx_node import OnnxNode


@imports("Einsum")
def _einsum(node: OnnxNode) -> Node | View:
    terms, result = _terms(node)
    sizes = {letter: size for index in (0, 1) for letter, size in zip(terms[index], node.shape(index))}
    if node.is_constant(0) or node.is_constant(1):
        return _with_constant(node, terms, result, sizes)
    return _of_activations(node, terms, result, sizes)


def _terms(node: OnnxNode) -> tuple[list[str], str]:
    """The letters of both operands' dimensions, and of the result's; those of ``...`` are capitals."""
    equation = node.text("equation", "").replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != 2 or node.input_count != 2:
        raise node.unsupported("an Einstein sum of other than two tensors; write it as several")
    if "." in equation:
        terms, result = _spelt_out(node, terms, result if arrow else "...")
    if not arrow:
        result += "".join(sorted(c for c in {*left} - {",", "."} if left.count(c) == 1))
    unsound = any(len({*letters}) != len(letters) for letters in (*terms, result))
    if unsound or any(len(term) != len(node.shape(index)) for index, term in enumerate(terms)):
        raise node.unsupported("a diagonal, or other dimensions than the operands have")
    if any(dict(zip(terms[0], node.shape(0))).get(c, n) != n for c, n in zip(terms[1], node.shape(1))):
        raise node.unsupported("operands that are broadcast to each other")
    if {*result} - {*terms[0], *terms[1]}:
        raise node.unsupported("a result with dimensions that no operand has")
    for one, other in ((terms[0], terms[1]), (terms[1], terms[0])):
        if {*one} - {*other} - {*result}:
            raise node.unsupported("a sum over a dimension of one operand alone; use ReduceSum before it")
    return terms, result


def _spelt_out(node: OnnxNode, terms: list[str], result: str) -> tuple[list[str], str]:
    """Capitals in the place of dots: the same for dimensions that are equally far from the last of them."""
    capitals = "ABCDEFGH"
    counts = [len(node.shape(i)) - len(term) + 3 if "..." in term else 0 for i, term in enumerate(terms)]
    if any(c.isupper() for c in "".join((*terms, result))):
        raise node.unsupported("dots beside capital letters; use small ones")
    if not all(0 <= count <= len(capitals) for count in counts):
        raise node.unsupported("other dimensions than the operands have")
    most = max(counts)
    spelt = [term.replace("...", capitals[most - count : most]) for term, count in zip(terms, counts)]
    return spelt, result.replace("...", capitals[:most])


def _with_constant(node: OnnxNode, terms: list[str], result: str, sizes: Mapping[str, int]) -> Node | View:
    """A layer along the dimensions that are summed over, joined."""
    fixed = 0 if node.is_constant(0) else 1
    own, other = terms[fixed], terms[1 - fixed]
    summed = [c for c in other if c in own and c not in result]
    added = [c for c in own if c not in other]
    kept = [c for c in other if c not in summed]
    both = [c for c in own if c in other and c in result]
    if both or not summed:
        raise node.unsupported(f"a constant that differs along {', '.join(both) or 'nothing'} of the result")
    if other[0] in summed and sizes[other[0]] == 1:
        raise node.unsupported("a product over the batch")
    weight = node.weight(fixed).transpose([own.index(c) for c in (*added, *summed)])
    weight = weight.reshape(_size(added, sizes), _size(summed, sizes))
    x = node.view(1 - fixed).transposed([other.index(c) for c in (*kept, *summed)])
    x = node.seen_as(x.reshaped((*(sizes[c] for c in kept), weight.shape[1])))
    names = [
        node.new_constant("weight", weight, of=fixed),
        node.new_constant("bias", np.zeros(len(weight), np.float32)),
    ]
    x, target = along_last(node, x, weight)
    if len(x.axes) == 1:
        made = node.between("Gemm", [x.tensor, *names], target, transB=1)
    else:
        made = node.between("Linear", [x.tensor, *names], target)
    return _ordered(node, made, [*kept, *added], result, sizes)


def _of_activations(node: OnnxNode, terms: list[str], result: str, sizes: Mapping[str, int]) -> Node | View:
    """A product of matrices, for each of the dimensions that both operands and the result have."""
    first, second = terms
    shared = [c for c in result if c in first and c in second]
    summed = [c for c in first if c in second and c not in result]
    rows = [c for c in first if c not in second]
    columns = [c for c in second if c not in first]
    if not summed:
        raise node.unsupported("a product that sums over nothing; write it as Mul")
    if not shared or sizes[shared[0]] != 1:
        raise node.unsupported("a product over the batch")
    batch = [sizes[c] for c in shared]
    operands = []
    for index, parts in ((0, (rows, summed)), (1, (summed, columns))):
        letters = [*shared, *parts[0], *parts[1]]
        turned = node.view(index).transposed([terms[index].index(c) for c in letters])
        view = node.seen_as(turned.reshaped((*batch, *(_size(part, sizes) for part in parts))))
        operands.append(node.arranged(view, view.dims[1:]))
    shape = (*batch, _size(rows, sizes), _size(columns, sizes))
    made = node.between("MatMul", operands, View.whole("", shape))
    return _ordered(node, made, [*shared, *rows, *columns], result, sizes)


def _ordered(node: OnnxNode, view: View, letters: list[str], result: str, sizes: Mapping[str, int]) -> View:
    """What was made, its dimensions apart and in the result's order."""
    apart = node.seen_as(view.reshaped([sizes[c] for c in letters]))
    return apart.transposed([letters.index(c) for c in result])


def _size(letters: Iterable[str], sizes: Mapping[str, int]) -> int:
    return prod(sizes[c] for c in letters)
