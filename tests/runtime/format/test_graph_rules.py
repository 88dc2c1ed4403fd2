"""Graphs that the engine cannot be trusted with are refused before it sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import graphs
import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hostile import check_message, set_field
from inn_runtime.format.graph_rules import GraphRules
from inn_runtime.format.parser import parse

RECORDS = sorted((Path(__file__).parents[2] / "golden" / "records").glob("*.json"))

assert RECORDS


@pytest.mark.parametrize(("node", "output"), graphs.GOOD)
def test_good_nodes_run_and_write_what_the_rules_say(
    tmp_path: Path, node: graphs.Node, output: tuple[int, ...]
) -> None:
    bundle = inn.open(graphs.write(tmp_path / "a.inn", node, output))
    with bundle.resample("full").session() as session:
        inputs = {p.name: np.ones((2, *p.shape[1:]), np.float32) for p in bundle.manifest.inputs}
        assert session.run(inputs).shape == (2, *output[1:])
    with pytest.raises(inn.BundleError, match=r"output 'y': expected \[1, 99\], found \["):
        inn.open(graphs.write(tmp_path / "a.inn", node, (1, 99)))


@pytest.mark.parametrize(("node", "message"), graphs.BROKEN)
def test_broken_nodes_are_refused(tmp_path: Path, node: graphs.Node, message: str) -> None:
    path = graphs.write(tmp_path / "a.inn", node, (1, 1))
    with pytest.raises(inn.BundleError) as caught:
        inn.open(path)
    assert str(caught.value).startswith(f"{path}: node 'n': ")
    assert message in str(caught.value)
    check_message(caught.value)


@pytest.mark.parametrize(("change", "message"), graphs.BROKEN_FIELDS)
def test_what_the_table_does_not_have(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(inn.BundleError) as caught:
        inn.open(graphs.broken_field(tmp_path / "a.inn", change))
    assert message in str(caught.value)


def test_unknown_primitives_can_be_allowed(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["nodes"][2]["primitive"] = 141
    path = tiny.write(tmp_path / "a.inn", document)
    with pytest.raises(inn.BundleError, match="primitive 141 is not known"):
        inn.open(path, allow_primitives=[140])
    assert len(inn.open(path, allow_primitives=[141]).resample("small").to_bytes()) > 1000
    document["nodes"][4]["attributes"] = [[0, "long", 3]]  # known ones stay under their rules
    with pytest.raises(inn.BundleError, match="node 'f': axis: expected one of 1, found 3"):
        inn.open(tiny.write(tmp_path / "a.inn", document), allow_primitives=[141])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "nodes.1.attributes.9",
            [9, "long", [[1, 1], [1]]],
            "weight: expected [7, 3, 3, 8], found [6, 3, 3, 8]",
        ),
        ("nodes.1.attributes.9", [9, "long", 6], "weight: expected [6, 3, 3, 4], found [3, 3, 3, 4]"),
        ("tensors.7.dims", [1, 5, 4, 8], "output: expected [1, 5, 4, 8], found [1, 5, 4, 4]"),
    ],
)
def test_every_size_is_checked(tmp_path: Path, path: str, value: Any, message: str) -> None:
    document = tiny.manifest()
    set_field(document, path, value)
    with pytest.raises(inn.BundleError) as caught:
        inn.open(tiny.write(tmp_path / "a.inn", document))
    assert message in str(caught.value)


def test_sizes_that_are_not_listed_are_checked_when_asked_for(tmp_path: Path) -> None:
    document = tiny.manifest()
    for group in document["groups"]:
        group["kernel"] = "linear"
    document["sizes"][0] |= {"tables": {}, "overrides": {}, "widths": [8, 6]}
    document["nodes"][0]["attributes"][9] = [9, "long", 8]  # right at full width only
    values = {key: array for key, array in tiny.tensors().items() if key.startswith("weight/")}
    bundle = inn.open(tiny.write(tmp_path / "a.inn", document, values))
    assert len(bundle.resample("full").to_bytes()) > 1000
    with pytest.raises(inn.BundleError, match=r"weight: expected \[8, 3, 3, 2\], found \[2, 3, 3, 2\]"):
        bundle.resample(0.3)


def test_a_batch_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A dense layer over what the batch has become."""
    document, values = graphs.one_node(("AddFusion", [(1, 4), [1, 4]], {}), (4, 3))
    document["tensors"] += [{"name": "turned"}, {"name": "order", "values": [1, 0], "shape": [2]}]
    document["tensors"] += [{"name": "w", "weight": 1}, {"name": "z"}]
    document["weights"].append({"name": "w", "dims": [[{"inner": 3}], [{"inner": 1}]]})
    values["weight/w"] = np.ones((3, 1), np.float32)
    dense = {
        "primitive": graphs.NUMBERS["MatMulFusion"],
        "attributes": [[0, "bool", False], [1, "bool", True]],
    }
    document["nodes"] += [
        {"name": "t", "primitive": 162, "attributes": [], "inputs": [2, 4], "outputs": [3]},
        {"name": "d", **dense, "inputs": [3, 5], "outputs": [6]},
    ]
    document["outputs"] = [{"name": "z", "tensor": 6, "shape": [4, 3]}]
    bundle = inn.open(tiny.write(tmp_path / "a.inn", document, values))
    with bundle.resample("full").session() as session:
        assert session.run(np.ones((1, 4), np.float32)).shape == (4, 3)
        with pytest.raises(inn.BundleError, match=r"node 'd': MatMulFusion: input 1: expected \[3, 2\]"):
            session.run(np.ones((2, 4), np.float32))
        assert session.run(np.ones((1, 4), np.float32)).shape == (4, 3)


def test_what_only_moves_values_takes_one_image_at_a_time(tmp_path: Path) -> None:
    """The engine frees such an output twice when it is resized."""
    moved = graphs.write(tmp_path / "a.inn", ("Transpose", [(1, 4), np.array([0, 1])], {}), (1, 4))
    assert inn.open(moved).manifest.one_image
    computed = graphs.write(tmp_path / "b.inn", ("Abs", [(1, 4)], {}), (1, 4))
    assert not inn.open(computed).manifest.one_image


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_what_the_exporter_makes_keeps_the_rules(record: Path) -> None:
    document = {"producer": {}, "digests": {}, **json.loads(record.read_text())["manifest"]}
    manifest = parse(document, "golden")
    rules = GraphRules(manifest, "golden")
    for size in manifest.sizes:
        for batch in (1, 3):
            rules.check(size.widths, batch)
