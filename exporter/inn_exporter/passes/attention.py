"""Attention: the width of each head, in a basis whose every prefix says most.

Queries and keys are only multiplied by each other, and q · kᵀ = (q M)(k M⁻ᵀ)ᵀ for every regular M. With
Gq = E[q qᵀ], Gk = E[k kᵀ] and Gq^½ Gk^½ = U Σ Vᵀ, each head gets M = Gq^-½ U Σ^½: the first n dimensions are
then the best n for the products, as far as queries and keys do not depend on each other. Nothing is
integrated over them; the scale of the products stays that of the full width.

Values are averaged by the attention's weights and read by a dense layer, so each head's may be rotated, as a
linear stream is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..graph.channels import Channels
from ..graph.graph import Graph, Node
from ..operators import operator

REGULAR = 1e-6
"""Share of the mean second moment that is added to all, so that dead dimensions have an inverse."""


@dataclass(frozen=True)
class Contraction:
    """A product of activations over a channel group: queries and keys.

    Attributes
    ----------
    group : over whose channels it sums
    node : the product
    layers : of each operand, the layer that alone makes it; None where there is none
    """

    group: int
    node: Node
    layers: tuple[Node | None, Node | None]


def contractions(graph: Graph, channels: Channels) -> list[Contraction]:
    """The products of activations that sum over a channel group."""
    found = []
    for node in graph.nodes:
        if not operator(node).is_contraction:
            continue
        (segment, *others) = channels.dims[node.inputs[0]][-1]
        if segment.group is not None and not others:
            first, second = (_layer_behind(graph, name) for name in node.inputs)
            found.append(Contraction(segment.group, node, (first, second)))
    return found


def _layer_behind(graph: Graph, name: str) -> Node | None:
    """The layer whose output a tensor is but for its shape and scale, if nothing else reads it."""
    producers, consumers = graph.producers(), graph.consumers()
    while name in producers and len(consumers[name]) == 1:
        node = producers[name]
        if operator(node).linear and not node.depthwise:
            return node
        scaled = operator(node).is_product and node.inputs[1] in graph.constants
        if scaled and graph.constants[node.inputs[1]].size != 1:
            return None
        if not operator(node).only_moves and not scaled:
            return None
        name = node.inputs[0]
    return None


def balanced(
    graph: Graph,
    channels: Channels,
    moments: Mapping[int, Sequence[tuple[np.ndarray, np.ndarray]]],
) -> tuple[Graph, set[int]]:
    """The same network with queries and keys in the best basis of each head, and the groups where that is so.

    Parameters
    ----------
    moments : group → Gq and Gk, (heads, N, N) each, of every product that sums over it
    """
    constants, done = dict(graph.constants), set()
    for contraction in contractions(graph, channels):
        group, layers = contraction.group, [layer for layer in contraction.layers if layer is not None]
        members = {f"{name}:0" for layer in layers for name in layer.inputs[1:]}
        if len(members) != 4 or members != set(channels.groups[group].members) or len(moments[group]) != 1:
            continue  # not two layers with kernels of their own, or not these alone
        queries, keys = moments[group][0]
        blocks = [[(s.outer, s.inner) for s in channels.dims[layer.inputs[1]][0]] for layer in layers]
        if blocks != [[(len(queries), 1)]] * 2:
            continue
        for layer, basis in zip(layers, balanced_bases(queries, keys)):
            for name in layer.inputs[1:]:
                rows = constants[name].reshape(*basis.shape[:2], -1)
                turned = np.einsum("hdi,hde->hei", rows, basis)
                constants[name] = np.ascontiguousarray(turned.reshape(constants[name].shape), np.float32)
        done.add(group)
    return replace(graph, constants=constants), done


def balanced_bases(queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M and M⁻ᵀ of every head, from the second moments of its queries and keys; all are (heads, N, N)."""
    bases = []
    for moment in (queries, keys):
        level = np.maximum(np.einsum("hdd->h", moment) / moment.shape[1], 1e-30)
        values, vectors = np.linalg.eigh(moment + REGULAR * level[:, None, None] * np.eye(moment.shape[1]))
        roots = np.sqrt(np.maximum(values, REGULAR * level[:, None]))[:, :, None]
        turned = vectors.transpose(0, 2, 1)
        bases.append((vectors @ (roots * turned), vectors @ (turned / roots)))
    (root_q, inverse_q), (root_k, inverse_k) = bases
    left, sigma, right = np.linalg.svd(root_q @ root_k)
    scale = np.sqrt(sigma)[:, None]
    return inverse_q @ left * scale, inverse_k @ right.transpose(0, 2, 1) * scale


def rotatable_heads(graph: Graph, channels: Channels) -> dict[int, int]:
    """The groups whose channels may be mixed by a rotation of each head, and the number of heads: values."""
    found: dict[int, int] = {}
    for group in range(len(channels.groups)):
        forms = {
            (s.outer, s.inner)
            for name in graph.constants
            for dimension in channels.dims[name]
            for s in dimension
            if s.group == group
        }
        if len(forms) == 1 and (form := forms.pop())[0] > 1 and form[1] == 1:
            found[group] = form[0]
    for node in graph.nodes:
        names = [name for name in (*node.inputs, *node.outputs) if name]
        for group in [g for g in found if any(channels.along(name, g) for name in names)]:
            if not _keeps_heads(node, channels, group):
                del found[group]
    return found


def _keeps_heads(node: Node, channels: Channels, group: int) -> bool:
    """Whether a node lets the channels of each head be mixed."""
    if operator(node).linear:
        return not node.depthwise and bool(channels.along(node.inputs[1], group))
    if operator(node).is_contraction:  # values, averaged by weights that know nothing of their channels
        first, second = (channels.along(name, group) for name in node.inputs)
        return not first and second == [len(channels.dims[node.inputs[1]]) - 1]
    return operator(node).only_moves
