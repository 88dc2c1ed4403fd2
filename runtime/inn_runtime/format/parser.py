"""Parsing a bundle's manifest: untrusted JSON in, `Manifest` out, every field checked."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from ..errors import BundleError, shown
from .axis import CUBIC_A, KERNELS, QUADRATURES, Axis
from .checks import check_graph
from .hasher import DIGEST_LENGTH
from .json_fields import Field
from .manifest import (
    Attribute,
    AttributeValue,
    Expression,
    GraphNode,
    GraphTensor,
    Group,
    Manifest,
    Port,
    Quadrature,
    Segment,
    Size,
    Weight,
    evaluate,
)
from .primitives import shares_memory

FORMAT_VERSION = 2

# Limits that no real network comes near; they bound what a hostile file can make the loader allocate.
MAX_WIDTH = 1 << 20
MAX_LENGTH = (1 << 31) - 1
MAX_GRAPH_ELEMENTS = 1 << 27
"""Of a tensor whose shape the manifest gives: a constant, an input or output, a variable."""
MAX_COEFFICIENT = 1 << 31
MAX_FACTORS = 8
MAX_SIZES = 256

SCHEDULES = ("uniform", "flops", "params", "latency")
"""What a size's widths may be chosen by."""

# Bits without the sign of what an expression's value is stored in.
_INT32, _INT64 = 31, 63
_ATTRIBUTE_BITS = {"byte": 7, "int": _INT32, "long": _INT64, "longs": _INT64}

ATTRIBUTE_TYPES = ("bool", "byte", "int", "long", "float", "longs", "floats", "string")


class _Parser:
    """Reads the manifest's parts; holds the counts that later parts refer to."""

    def __init__(self) -> None:
        self.groups = 0
        self.full_widths: tuple[int, ...] = ()
        self.quadratures = 0
        self.weights = 0
        self.tensors = 0

    def expression(self, value: Field, bits: int) -> Expression:
        """An expression whose value has at most ``bits`` bits at any width."""
        if type(value.value) is int and -128 <= value.value < 128:  # most are, and fit everything
            return ((value.value,),)
        if isinstance(value.value, int) and not isinstance(value.value, bool):
            least = most = value.integer(-MAX_COEFFICIENT, MAX_COEFFICIENT)
            expression: Expression = ((least,),)
        else:
            expression = tuple(self._term(term) for term in value.list())
            # Widths are at most full: the terms of one sign, at full widths, are the extremes.
            least = evaluate(tuple(t for t in expression if t[0] < 0), self.full_widths)
            most = evaluate(tuple(t for t in expression if t[0] > 0), self.full_widths)
        if not -(1 << bits) <= least <= most < 1 << bits:
            raise value.fail(f"an expression whose value fits {bits + 1} bits at every width")
        return expression

    def _term(self, value: Field) -> tuple[int, ...]:
        coefficient, *factors = _non_empty(value)
        if len(factors) > MAX_FACTORS:
            raise value.fail(f"at most {MAX_FACTORS} factors")
        return (
            coefficient.integer(-MAX_COEFFICIENT, MAX_COEFFICIENT),
            *(factor.integer(0, self.groups - 1) for factor in factors),
        )

    def group(self, value: Field) -> Group:
        axis = Axis(
            size=value["size"].integer(1, MAX_WIDTH),
            kernel=value["kernel"].choice(KERNELS),
            quadrature=value["quadrature"].choice(QUADRATURES),
            a=a.number(-4.0, 4.0) if (a := value.get("a")) else CUBIC_A,
        )
        members = tuple(m.text() for m in value["members"].list())
        return Group(value["name"].text(), axis, members)

    def quadrature(self, value: Field) -> Quadrature:
        return Quadrature(value["name"].text(), value["group"].integer(0, self.groups - 1))

    def segment(self, value: Field, quadratures: tuple[Quadrature, ...]) -> Segment:
        group, quadrature = value.get("group"), value.get("quadrature")
        segment = Segment(
            group=group.integer(0, self.groups - 1) if group else None,
            outer=outer.integer(1, MAX_WIDTH) if (outer := value.get("outer")) else 1,
            inner=inner.integer(1, MAX_LENGTH) if (inner := value.get("inner")) else 1,
            quadrature=quadrature.integer(0, self.quadratures - 1) if quadrature else None,
        )
        if segment.quadrature is not None and quadratures[segment.quadrature].group != segment.group:
            raise value.fail("a quadrature over the segment's own group")
        return segment

    def weight(self, value: Field, quadratures: tuple[Quadrature, ...]) -> Weight:
        dims = tuple(
            tuple(self.segment(s, quadratures) for s in _non_empty(dimension))
            for dimension in value["dims"].list()
        )
        if len(dims) > 8:
            raise value["dims"].fail("at most 8 dimensions")
        return Weight(value["name"].text(), dims)

    def tensor(self, value: Field) -> GraphTensor:
        name = value["name"].text()
        if (weight := value.get("weight")) is not None:
            return GraphTensor(name, weight=weight.integer(0, self.weights - 1))
        if (values := value.get("values")) is not None:
            entries = tuple(self.expression(e, _INT32) for e in values.list())
            shape = _shape(value["shape"], least=0)
            if math.prod(shape) != len(entries):
                raise value["shape"].fail(f"a shape of {len(entries)} elements")
            return GraphTensor(name, values=entries, shape=shape)
        dims = value.get("dims")
        return GraphTensor(name, dims=_shape(dims) if dims else ())

    def attribute(self, value: Field) -> Attribute:
        slot, kind, content = value.list(3)
        name = kind.choice(ATTRIBUTE_TYPES)
        parsed: AttributeValue
        if name == "bool":
            parsed = content.boolean()
        elif name == "float":
            parsed = content.number()
        elif name == "string":
            parsed = content.text()
        elif name == "floats":
            parsed = tuple(v.number() for v in content.list())
        elif name == "longs":
            parsed = content.small_integers() or tuple(
                self.expression(v, _ATTRIBUTE_BITS[name]) for v in content.list()
            )
        else:
            parsed = self.expression(content, _ATTRIBUTE_BITS[name])
        return Attribute(slot.integer(0, 255), name, parsed)

    def node(self, value: Field) -> GraphNode:
        last = self.tensors - 1
        attributes = tuple(self.attribute(a) for a in value["attributes"].list())
        if len({a.slot for a in attributes}) < len(attributes):
            raise value["attributes"].fail("attributes in different slots")
        return GraphNode(
            name=value["name"].text(),
            primitive=value["primitive"].integer(1, 255),
            attributes=attributes,
            inputs=tuple(i.integer(0, last) for i in value["inputs"].list()),
            outputs=tuple(i.integer(0, last) for i in value["outputs"].list()),
        )

    def port(self, value: Field, tensors: tuple[GraphTensor, ...]) -> Port:
        preprocessing = value.get("preprocessing")
        if preprocessing is not None and not isinstance(preprocessing.value, dict):
            raise preprocessing.fail("an object")
        port = Port(
            name=value["name"].text(),
            tensor=value["tensor"].integer(0, self.tensors - 1),
            shape=_shape(value["shape"]),
            preprocessing=preprocessing.value if preprocessing else None,
        )
        # The engine knows inputs and outputs by their tensors' names.
        if port.name != tensors[port.tensor].name:
            raise value["name"].fail(f"the name of its tensor, {tensors[port.tensor].name!r}")
        return port

    def input(self, value: Field, tensors: tuple[GraphTensor, ...]) -> Port:
        port = self.port(value, tensors)
        if port.shape[:1] != (1,):
            raise value["shape"].fail("a shape with batch 1")
        if tensors[port.tensor].dims != port.engine_shape:
            raise value["shape"].fail(
                f"the shape of its tensor, {list(tensors[port.tensor].dims)} in the engine's layout"
            )
        return port

    def size(self, value: Field, groups: tuple[Group, ...]) -> Size:
        widths = tuple(
            w.integer(1, group.axis.size) for w, group in zip(value["widths"].list(len(groups)), groups)
        )
        corrections, grids = value.get("corrections"), value.get("grids")
        size = Size(
            size=value["size"].number(1e-6, 1.0),
            widths=widths,
            tables=_references(value["tables"], self.quadratures),
            overrides=_references(value["overrides"], self.weights),
            corrections=_references(corrections, self.weights),
            grids=_references(grids, self.groups),
            measured={k: f.number() for k, f in value["measured"].members()},
            check={k: f.text() for k, f in value["check"].members()},
        )
        if corrections is not None and not size.overrides.keys().isdisjoint(size.corrections):
            raise corrections.fail("no weight that is overridden")
        return size

    def sizes(self, value: Field, groups: tuple[Group, ...]) -> tuple[Size, ...]:
        if len(entries := value.list()) > MAX_SIZES:
            raise value.fail(f"at most {MAX_SIZES} sizes")
        sizes = tuple(self.size(entry, groups) for entry in entries)
        if [s.size for s in sizes] != sorted({s.size for s in sizes}) or not sizes or sizes[-1].size != 1.0:
            raise value.fail("increasing sizes that end with 1")
        if sizes[-1].widths != self.full_widths:
            raise value.fail("full widths at size 1")
        if sizes[-1].is_calibrated:
            raise value.fail("no tables, overrides, corrections or grids at size 1")
        return sizes


def _references(value: Field | None, count: int) -> dict[int, str]:
    """Names of bundle tensors by the index of what they belong to; none where the field is absent."""
    return {} if value is None else {_index(k, f, count): f.text() for k, f in value.members()}


def _non_empty(value: Field) -> list[Field]:
    entries = value.list()
    if not entries:
        raise value.fail("a list that is not empty")
    return entries


def _shape(value: Field, least: int = 1) -> tuple[int, ...]:
    entries = value.list()
    if len(entries) > 8:
        raise value.fail("at most 8 dimensions")
    shape = tuple(d.integer(least, MAX_LENGTH) for d in entries)
    if math.prod(shape) > MAX_GRAPH_ELEMENTS:
        raise value.fail(f"at most {MAX_GRAPH_ELEMENTS} elements")
    return shape


def _digest(value: Field) -> str:
    if not re.fullmatch(f"[0-9a-f]{{{DIGEST_LENGTH}}}", value.text()):
        raise value.fail(f"{DIGEST_LENGTH} hexadecimal digits")
    return value.text()


def _curve(value: Field) -> dict[str, Any]:
    if (metrics := value.get("metrics")) is not None:
        for metric in metrics.list():
            metric.text()
    if (count := value.get("n")) is not None:
        count.integer(0, MAX_LENGTH)
    if (safe := value.get("safe_from")) is not None:
        safe.number(1e-6, 1.0)
    return dict(value.value)


def _index(key: str, value: Field, count: int) -> int:
    # The number must be spelt as usual: "00" would be "0" a second time.
    if not re.fullmatch("0|[1-9][0-9]{0,8}", key) or int(key) >= count:
        raise BundleError(
            f"{value.source}: manifest field {value.path}: expected a key below {count}, found {shown(key)}"
        )
    return int(key)


def parse(document: Any, source: str) -> Manifest:
    """Check a decoded JSON manifest and return it as dataclasses.

    Raises
    ------
    BundleError : a field is missing, of the wrong type or out of range; the message names it
    """
    root = Field(document, "manifest", source)
    version = root["format_version"].integer(1, MAX_LENGTH)
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{source}: bundle format version {version}; this runtime reads version {FORMAT_VERSION}: "
            "update innlite or export the bundle again"
        )
    parser = _Parser()
    group_fields = root["groups"].list()
    parser.groups = len(group_fields)
    groups = tuple(parser.group(g) for g in group_fields)
    parser.full_widths = tuple(group.axis.size for group in groups)
    quadrature_fields = root["quadratures"].list()
    parser.quadratures = len(quadrature_fields)
    quadratures = tuple(parser.quadrature(q) for q in quadrature_fields)
    weight_fields = root["weights"].list()
    parser.weights = len(weight_fields)
    weights = tuple(parser.weight(w, quadratures) for w in weight_fields)
    tensor_fields = root["tensors"].list()
    parser.tensors = len(tensor_fields)
    tensors = tuple(parser.tensor(t) for t in tensor_fields)
    _unique([w.name for w in weights], root["weights"])
    _unique([g.name for g in groups], root["groups"])
    sizes = parser.sizes(root["sizes"], groups)
    macs = parser.expression(root["macs"], _INT64)
    if any(evaluate(macs, s.widths) < 0 for s in sizes):
        raise root["macs"].fail("an expression that is at least 0 at every size")
    manifest = Manifest(
        name=root["name"].text(),
        producer={k: f.text() for k, f in root["producer"].members()},
        inputs=tuple(parser.input(p, tensors) for p in _non_empty(root["inputs"])),
        outputs=tuple(parser.port(p, tensors) for p in _non_empty(root["outputs"])),
        labels=tuple(label.text() for label in root["labels"].list()),
        groups=groups,
        quadratures=quadratures,
        weights=weights,
        tensors=tensors,
        nodes=tuple(parser.node(n) for n in root["nodes"].list()),
        macs=macs,
        align=root["align"].integer(1, MAX_WIDTH),
        one_image=root["one_image"].boolean() if root.get("one_image") else False,
        schedule=root["schedule"].choice(SCHEDULES),
        sizes=sizes,
        presets={k: f.number(1e-6, 1.0) for k, f in root["presets"].members()},
        curve=_curve(root["curve"]),
        check_seed=root["check_seed"].integer(0, (1 << 63) - 1),
        source_difference=differs.number(0.0, 1.0) if (differs := root.get("source_difference")) else 0.0,
        digests={k: _digest(f) for k, f in root["digests"].members()},
    )
    if manifest.schedule != "uniform" and not manifest.is_calibrated:
        raise root["schedule"].fail("uniform, as no size has calibrated data")
    check_graph(manifest, source)
    first, last = ([port.tensor for port in side] for side in (manifest.inputs, manifest.outputs))
    return replace(manifest, one_image=True) if shares_memory(first, last, manifest.nodes) else manifest


def _unique(names: list[str], value: Field) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BundleError(f"{value.source}: manifest field {value.path}: the name {name!r} occurs twice")
        seen.add(name)
