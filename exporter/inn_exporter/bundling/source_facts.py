"""What a source file says beside its network: opset, metadata, descriptions, what its batch is called."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

from inn_runtime.format.manifest import Manifest
from onnx import GraphProto, ModelProto, TensorProto, helper

from ..importers.opsets import DEFAULT_DOMAINS

MAX_METADATA = 256 << 10
"""Bytes of metadata and descriptions that a bundle keeps. A dictionary of Chinese characters takes 80 kB."""
BATCH = "batch"
"""What the batch is called where the source has no name for it."""
OWN = "innlite."
"""Before the keys of metadata that INN-Lite writes."""
_PRODUCER = f"{OWN}source_producer"
_DEFAULT_OPSET = 17


@dataclass(frozen=True)
class SourceFacts:
    """What a resized network should say as its source does.

    Attributes
    ----------
    opset : of the default domain
    domain, version, description : of the model
    about : the graph's description
    metadata : the model's, by key
    batches, descriptions : of inputs and outputs, by name
    """

    opset: int = _DEFAULT_OPSET
    domain: str = ""
    version: int = 0
    description: str = ""
    about: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    batches: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: ModelProto, label: str = "model") -> SourceFacts:
        """Read them; warns of texts that are too long to be kept."""
        ports = (*model.graph.input, *model.graph.output)
        batches = {}
        for port in ports:
            dims = port.type.tensor_type.shape.dim
            if dims and dims[0].dim_param:
                batches[port.name] = dims[0].dim_param
        keep = _Room(label)
        producer = f"{model.producer_name} {model.producer_version}".strip()
        metadata = {
            entry.key: entry.value
            for entry in model.metadata_props
            if keep(f"metadata {entry.key!r}", entry.key + entry.value)
        }
        if producer and not producer.startswith("innlite"):
            metadata[_PRODUCER] = producer
        return cls(
            next(entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS),
            model.domain,
            model.model_version,
            keep("the model's description", model.doc_string),
            keep("the graph's description", model.graph.doc_string),
            metadata,
            batches,
            {p.name: p.doc_string for p in ports if keep(f"the description of {p.name!r}", p.doc_string)},
        )

    def tell(self, model: ModelProto) -> None:
        """Write them into a network whose opset, inputs and outputs are there already."""
        said = {"domain": self.domain, "model_version": self.version, "doc_string": self.description}
        for name, value in said.items():
            if value:
                setattr(model, name, value)
        if self.about:
            model.graph.doc_string = self.about
        helper.set_model_props(model, dict(self.metadata))
        for port in (*model.graph.input, *model.graph.output):
            if port.name in self.descriptions:
                port.doc_string = self.descriptions[port.name]

    def declare(self, graph: GraphProto, name: str, shape: tuple[int, ...], output: bool) -> None:
        """Add an input or output of a shape, of any batch."""
        ports = graph.output if output else graph.input
        dims: list[str | int | None] = [self.batches.get(name, BATCH), *shape[1:]]
        ports.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))


class _Room:
    """Counts texts until there is no more room for them."""

    def __init__(self, label: str) -> None:
        self._label, self._left = label, MAX_METADATA

    def __call__(self, what: str, text: str) -> str:
        """The text, or "" where it does not fit."""
        size = len(text.encode())
        if size > self._left:
            warnings.warn(
                f"{self._label}: {what} ({size / 1e3:,.0f} kB) is not kept: a bundle has room for "
                f"{MAX_METADATA / 1e3:,.0f} kB of texts",
                stacklevel=4,
            )
            return ""
        self._left -= size
        return text


def tell_of_bundle(model: ModelProto, manifest: Manifest, size: float) -> None:
    """Add to a resized network's metadata its size, and the labels and preprocessing that the bundle has."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata[f"{OWN}size"] = f"{size:g}"
    preprocessing = {port.name: port.preprocessing for port in manifest.inputs if port.preprocessing}
    if manifest.labels:
        metadata[f"{OWN}labels"] = json.dumps(manifest.labels, ensure_ascii=False)
    if preprocessing:
        metadata[f"{OWN}preprocessing"] = json.dumps(preprocessing, ensure_ascii=False)
    helper.set_model_props(model, metadata)
