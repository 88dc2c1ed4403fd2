"""What `inn export-onnx` writes is what the source was, smaller: opset, names, metadata, values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from inn_exporter import export
from inn_exporter.bundling.onnx_writer import export_onnx, resized_onnx, skeleton
from inn_exporter.bundling.source_facts import MAX_METADATA, SourceFacts
from inn_exporter.graph.graph import Graph
from inn_exporter.graph.lowered import LoweredWeight
from inn_exporter.importers import import_onnx
from inn_exporter.importers.opsets import OPSETS
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_runtime import Bundle
from networks import Network, images, relative_error, run_onnx
from onnx import ModelProto, helper, numpy_helper
from operator_cases import CASES
from parity import TOLERANCE, operators

LABELS = ("cat", "dög", "bird")
PICTURES = {"scale": 255, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def written(graph: Graph, opset: int) -> ModelProto:
    """A network as ONNX, with its own weights."""
    weights = [LoweredWeight(name, tuple(range(values.ndim)), ()) for name, values in graph.constants.items()]
    model = onnx.load_from_string(skeleton(graph, weights, SourceFacts(opset)))
    for tensor in model.graph.initializer:
        if tensor.doc_string:
            axes = json.loads(tensor.doc_string)["permutation"]
            values = np.ascontiguousarray(graph.constants[tensor.name].transpose(np.argsort(axes)))
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize(
    ("op", "case"),
    [pytest.param(op, case, id=f"{op}-{case}") for op, cases in CASES.items() for case in cases],
)
def test_every_operator_in_every_opset(op: str, case: str) -> None:
    """In ONNX Runtime it computes the same, and it can be imported again."""
    source = CASES[op][case]().model()
    graph, _ = analyse(fold(import_onnx(source)))
    inputs = {name: images(2, *graph.shapes[name][1:]) for name in graph.inputs}
    expected = run_onnx(source, inputs)
    found = []
    for opset in (*OPSETS, 22, 23):
        model = written(graph, opset)
        found.append(model.opset_import[0].version)
        for name, values in run_onnx(model, inputs).items():
            assert relative_error(values, expected[name]) <= TOLERANCE, (opset, name)
        assert operators(import_onnx(model)) == operators(import_onnx(written(graph, 17))), opset
    for opset, chosen in zip(OPSETS, found):
        assert opset <= chosen <= max(opset, 17), "the source's opset, or the next that will do"


@pytest.mark.parametrize(("axis", "opset"), [(1, 13), (3, 11)])
def test_softmax_is_over_one_axis_from_opset_13_on(axis: int, opset: int) -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 4, 5), 3, 8))
    n.output(n.node("Softmax", n.conv(x, 8, 6), axis=axis), 4)
    assert written(fold(import_onnx(n.model())), 11).opset_import[0].version == opset


def network(opset: int = 13, batch: int | str = "N", layer_norm: bool = False) -> ModelProto:
    n = Network(opset, batch)
    x = n.relu(n.conv(n.input(3, 8, 8, name="picture"), 3, 16))
    x = n.node("Flatten", n.node("GlobalAveragePool", x))
    x = n.relu(n.dense(x, 16, 24))
    if layer_norm:
        centred = n.node("Sub", x, n.node("ReduceMean", x, axes=[-1], keepdims=1))
        variance = n.node("ReduceMean", n.node("Mul", centred, centred), axes=[-1], keepdims=1)
        x = n.node("Div", centred, n.node("Sqrt", n.node("Add", variance, n.constant([1e-5]))))
    n.output(n.dense(x, 24, 3))
    model = n.model()
    model.producer_name, model.producer_version = "pytorch", "2.1.0"
    model.domain, model.model_version = "org.example", 7
    model.doc_string, model.graph.doc_string = "tells cats from dogs", "a graph"
    model.graph.input[0].doc_string = "RGB"
    helper.set_model_props(model, {"character": "a\nß\n汉", "author": "someone"})
    return model


def bundle_of(model: ModelProto | Path, path: Path, **more: Any) -> Bundle:
    """Stored exactly, at .5 and 1."""
    (port,) = import_onnx(model).inputs
    data = {port: images(100, 3, 8, 8)}
    return export(model, path, data, sizes=(0.5, 1.0), quadrature="none", storage="float32", **more)


def metadata(model: ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def test_resized_networks_say_what_the_source_says(tmp_path: Path) -> None:
    bundle = bundle_of(network(), tmp_path / "a.inn", labels=LABELS, preprocessing={"picture": PICTURES})
    found = onnx.load_from_string(export_onnx(bundle, "small"))
    assert found.opset_import[0].version == 13
    assert (found.domain, found.model_version, found.doc_string) == ("org.example", 7, "tells cats from dogs")
    assert (found.graph.name, found.graph.doc_string) == ("network", "a graph")
    (port,), (output,) = found.graph.input, found.graph.output
    assert (port.name, port.doc_string, output.name) == (
        "picture", "RGB", network().graph.output[0].name
    )  # fmt: skip
    assert [dim.dim_param or dim.dim_value for dim in port.type.tensor_type.shape.dim] == ["N", 3, 8, 8]
    assert output.type.tensor_type.shape.dim[0].dim_param == "N"
    names = {node.name for node in found.graph.node if ":" not in node.name}  # not those that are inserted
    assert names == {"conv_0", "relu_1", "globalaveragepool_2", "gemm_4", "relu_5", "gemm_6"}
    said = metadata(found)
    assert (said["character"], said["author"]) == ("a\nß\n汉", "someone")
    assert said["innlite.source_producer"] == "pytorch 2.1.0"
    assert said["innlite.size"] == "0.5"
    assert tuple(json.loads(said["innlite.labels"])) == LABELS
    assert json.loads(said["innlite.preprocessing"]) == {"picture": PICTURES}
    assert found.producer_name == "innlite"


def test_a_batch_without_a_name_gets_one(tmp_path: Path) -> None:
    found = resized_onnx(bundle_of(network(batch=1), tmp_path / "a.inn").resample(1.0))
    assert found.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {*metadata(found)} == {"character", "author", "innlite.source_producer", "innlite.size"}


@pytest.mark.parametrize("opset", OPSETS)
def test_full_size_is_the_source_in_the_opset_that_can_say_it(opset: int, tmp_path: Path) -> None:
    for layer_norm in (False, True) if opset < 18 else (False,):
        model = network(opset, layer_norm=layer_norm)
        found = resized_onnx(bundle_of(model, tmp_path / "a.inn").resample(1.0))
        assert found.opset_import[0].version == (max(opset, 17) if layer_norm else opset)
        inputs = {"picture": images(5, 3, 8, 8)}
        (expected,), (output,) = run_onnx(model, inputs).values(), run_onnx(found, inputs).values()
        assert relative_error(output, expected) <= 1e-6


def test_a_resized_network_is_a_source_again(tmp_path: Path) -> None:
    first = bundle_of(network(15, layer_norm=True), tmp_path / "a.inn", labels=LABELS)
    (tmp_path / "half.onnx").write_bytes(export_onnx(first, 0.5))
    half = onnx.load(tmp_path / "half.onnx")
    again = resized_onnx(bundle_of(tmp_path / "half.onnx", tmp_path / "b.inn").resample(1.0))
    assert again.opset_import[0].version == half.opset_import[0].version == 17
    assert metadata(again) == {**metadata(half), "innlite.size": "1"}
    inputs = {"picture": images(5, 3, 8, 8)}
    (expected,), (output,) = run_onnx(half, inputs).values(), run_onnx(again, inputs).values()
    assert relative_error(output, expected) <= 1e-6


def test_texts_that_are_too_long_are_left_out_and_named(tmp_path: Path) -> None:
    model = network()
    helper.set_model_props(model, {"small": "a", "large": "ä" * MAX_METADATA, "fits": "b"})
    with pytest.warns(UserWarning, match=r"network: metadata 'large' \(524 kB\) is not kept: .* 262 kB"):
        bundle = bundle_of(model, tmp_path / "a.inn")
    said = metadata(resized_onnx(bundle.resample(0.5)))
    assert (said["small"], said["fits"], "large" in said) == ("a", "b", False)
