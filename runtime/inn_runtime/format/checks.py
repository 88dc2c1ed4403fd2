"""What must hold between the parts of a bundle, checked before any tensor is read."""

from __future__ import annotations

import math

from ..errors import BundleError, shown
from .manifest import Manifest
from .packed import BITS, packed_bits
from .stores import INTEGERS, SCALE_SUFFIX, SOURCE_KEY, Layout

MAX_STORED_ELEMENTS = 1 << 29
"""Of a stored tensor: what a `.ms` file can hold."""


def check_graph(manifest: Manifest, source: str) -> None:
    """Every tensor is written once before it is read, and nodes write the outputs."""
    ready = {i for i, t in enumerate(manifest.tensors) if t.weight is not None or t.values is not None}
    for port in manifest.inputs:
        if port.tensor in ready:
            raise BundleError(f"{source}: input {port.name!r}: expected a variable of its own")
        ready.add(port.tensor)
    given = set(ready)
    for node in manifest.nodes:
        if not node.outputs:
            raise BundleError(f"{source}: node {node.name!r}: expected at least one output")
        for index in node.inputs:
            if index not in ready:
                raise BundleError(
                    f"{source}: node {node.name!r} reads tensor {index}, which nothing has written yet"
                )
        for index in node.outputs:
            if index in ready:
                raise BundleError(f"{source}: node {node.name!r} writes tensor {index} a second time")
            ready.add(index)
    for kind, ports in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        if len({port.name for port in ports}) < len(ports):
            raise BundleError(f"{source}: expected {kind} of different names")
    written = ready - given
    for port in manifest.outputs:
        if port.tensor not in written:
            raise BundleError(f"{source}: output {port.name!r}: no node writes its tensor {port.tensor}")


def check_tensors(manifest: Manifest, layout: Layout, source: str) -> dict[str, tuple[int, ...]]:
    """Names, dtypes and shapes of the stored tensors against the manifest, before any is read.

    Returns
    -------
    Name → shape of its values, which packed integers do not have in the file; without the source network
    """
    expected: dict[str, tuple[int, ...]] = {}
    scales: set[str] = set()

    def expect(key: str, shape: tuple[int, ...]) -> None:
        if key == SOURCE_KEY:
            raise BundleError(f"{source}: tensor {key!r} is the source network, but is used as values")
        if expected.setdefault(key, shape) != shape:
            raise BundleError(f"{source}: tensor {key!r} is used with shapes {expected[key]} and {shape}")

    for weight in manifest.weights:
        expect(f"weight/{weight.name}", weight.shape(manifest.full_widths))
    ports = {port.name: port for port in manifest.outputs}
    for size in manifest.sizes:
        for index, key in size.tables.items():
            group = manifest.quadratures[index].group
            expect(key, (manifest.groups[group].axis.size, size.widths[group]))
        for index, key in [*size.overrides.items(), *size.corrections.items()]:
            expect(key, manifest.weights[index].shape(size.widths))
        for group, key in size.grids.items():
            expect(key, (2, size.widths[group]))
        for name, key in size.check.items():
            if name not in ports:
                raise BundleError(f"{source}: the self-check names an unknown output {name!r}")
            expect(key, ports[name].shape)
    for key, shape in list(expected.items()):
        if key in layout and layout[key][0] in INTEGERS:
            scales.add(key + SCALE_SUFFIX)
            expect(key + SCALE_SUFFIX, _scale_shape(key, shape, layout, source))
    for key, (dtype, found) in layout.items():
        if key == SOURCE_KEY:
            if dtype != "uint8" or len(found) != 1 or found[0] == 0:
                raise BundleError(f"{source}: tensor {key!r}: expected bytes, found {dtype} {found}")
        elif key not in expected:
            raise BundleError(f"{source}: tensor {shown(key)} is not in the manifest")
        else:
            if dtype in INTEGERS and key in scales:
                raise BundleError(f"{source}: tensor {key!r}: expected float16 or float32, found {dtype}")
            _check_shape(key, expected[key], dtype, found, source)
        if key not in manifest.digests:
            raise BundleError(f"{source}: tensor {key!r} has no digest in the manifest")
    for key in [*expected, *manifest.digests]:
        if key not in layout:
            raise BundleError(f"{source}: tensor {key!r} is missing from the file")
    return expected


def _check_shape(key: str, shape: tuple[int, ...], dtype: str, found: tuple[int, ...], source: str) -> None:
    """What a tensor's values should be against how it lies in the file."""
    count = math.prod(shape)
    if dtype == "uint8":
        if len(found) != 1 or packed_bits(found[0], count) is None:
            bits = f"{BITS[0]} to {BITS[-1]} bits"
            raise BundleError(
                f"{source}: tensor {key!r}: expected shape {shape} packed in {bits}, found bytes {found}"
            )
    elif found != shape:
        raise BundleError(f"{source}: tensor {key!r}: expected shape {shape}, found {found}")
    if count > MAX_STORED_ELEMENTS:
        raise BundleError(
            f"{source}: tensor {key!r}: expected at most {MAX_STORED_ELEMENTS} elements, found {shape}"
        )


def _scale_shape(key: str, shape: tuple[int, ...], layout: Layout, source: str) -> tuple[int, ...]:
    """The shape of integers' scale: it must broadcast along each dimension that it does not follow."""
    _, found = layout.get(key + SCALE_SUFFIX, ("", (1,) * len(shape)))
    if len(found) != len(shape) or any(f not in (1, s) for f, s in zip(found, shape)):
        raise BundleError(
            f"{source}: tensor {key + SCALE_SUFFIX!r}: expected each dimension of {shape} or 1, found {found}"
        )
    return found
