"""The exporter's commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import inn_runtime as inn
import numpy as np
import onnx
import onnxruntime
import pytest
from inn_exporter.cli import export_command
from inn_exporter.options import Options
from inn_runtime.cli import main
from networks import Network, images
from onnx import helper
from places import RESNET20
from safetensors.numpy import load_file


def test_warnings_are_one_line_each(
    train: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", x=np.concatenate([train[:16], train[:8]]))
    command = ["export", str(RESNET20), "--calibrate", str(tmp_path / "x.npz"), "-o", str(tmp_path / "a.inn")]
    assert main([*command, "--sizes", "0.5", "--effort", "fast"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: 'x': ")]
    assert len(lines) == 1


def test_the_command_writes_a_bundle_or_says_why_not(
    tmp_path: Path, train: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "images.npz", images=train[:40])
    output = tmp_path / "a.inn"
    arguments = [
        "--calibrate",
        str(tmp_path / "images.npz"),
        "-o",
        str(output),
        "--sizes",
        "0.5",
        "--images",
        "32",
    ]
    assert main(["export", str(RESNET20), *arguments, "--quadrature", "none"]) == 0
    printed = capsys.readouterr()
    assert "parameters" in printed.out
    assert printed.err.startswith("none: 1 size, 32 images; less than a minute")
    assert main(["export-onnx", str(output), "--size", "small", "-o", str(tmp_path / "a.onnx")]) == 0
    assert onnxruntime.InferenceSession(str(tmp_path / "a.onnx")).get_inputs()[0].shape[1:] == [1, 28, 28]
    capsys.readouterr()
    for wrong in (["--optimise", "flops", "--quadrature", "none"], ["--limit", "5"], ["--align", "0"]):
        assert main(["export", str(RESNET20), *arguments, *wrong]) == 2
        assert f"{wrong[0][2:]}: " in capsys.readouterr().err
    assert main(["export", str(tmp_path / "no.onnx"), *arguments]) == 2
    assert "no.onnx: no such file" in capsys.readouterr().err
    (tmp_path / "images.npz").write_bytes(b"PK nonsense")
    assert main(["export", str(RESNET20), *arguments]) == 2
    assert "not an .npz file" in capsys.readouterr().err


def test_unsupported_nodes_are_listed_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [helper.make_node(op, ["x"], [op], name=f"my {op}") for op in ("Sin", "Cos")]
    outputs = [helper.make_tensor_value_info(op, 1, [1, 3]) for op in ("Sin", "Cos")]
    inputs = [helper.make_tensor_value_info("x", 1, [1, 3])]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "a.onnx")
    arguments = ["--calibrate", "none.npz", "-o", str(tmp_path / "a.inn")]
    assert main(["export", str(tmp_path / "a.onnx"), *arguments]) == 2
    first, *others = capsys.readouterr().err.splitlines()
    assert "2 nodes cannot be imported" in first
    assert [line.split(":")[0].strip() for line in others] == ["my Sin", "my Cos"]


def test_the_command_has_tuning_options() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    export_command(parser.add_subparsers())
    command = ["export", "m.onnx", "--calibrate", "c.npz", "-o", "m.inn", "--tune", "t.npz", "--seen", "9"]
    assert parser.parse_args(command).seen == 9


def test_groups_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 6))
    n.output(n.conv(n.relu(n.conv(x, 6, 4)), 4, 2), 4)
    path = tmp_path / "net.onnx"
    path.write_bytes(n.model().SerializeToString())
    assert main(["groups", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(group["name"], group["width"]) for group in found["groups"]] == [("conv_0", 6), ("conv_2", 4)]
    assert sorted(found["groups"][0]["members"]) == ["constant_0:0", "constant_1:0", "constant_2:1"]
    assert main(["groups", str(path), "--only", "conv_2"]) == 0
    assert "net: 1 channel groups, " in capsys.readouterr().out
    assert main(["groups", str(path), "--keep", "dense*"]) == 2
    assert "keep: no channel group matches 'dense*'" in capsys.readouterr().err


def _tensors(path: Path) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in load_file(path).items()}


@pytest.fixture(params=["calibrated", "tuned"])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """A bundle made with other options than the usual; the command's files, and those it is tuned by."""
    n = Network()
    x = n.relu(n.conv(n.relu(n.conv(n.input(3, 6, "width"), 3, 8)), 8, 9))
    n.nodes[2].name = "second layer"
    n.output(n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 9, 4))
    (tmp_path / "net.onnx").write_bytes(n.model().SerializeToString())
    np.savez(tmp_path / "x.npz", x=images(40, 3, 6, 5))
    files = [str(tmp_path / "net.onnx"), "--calibrate", str(tmp_path / "x.npz")]
    options = ["--sizes", "0.4,0.7", "--effort", "fast", "--images", "20", "--seed", "3", "--storage", "int8"]
    options += ["--keep", "second *", "--input-shape", "x=1,3,6,5"]
    tune = ["--tune", str(tmp_path / "x.npz")] if request.param == "tuned" else []
    options += ["--seen", "32", "--batch", "16", "--mirror"] if tune else []
    assert main(["export", *files, *options, *tune, "-o", str(tmp_path / "old.inn")]) == 0
    return tmp_path / "old.inn", files, tune


def test_like_another_bundle_is_the_same_again(exported: tuple[Path, list[str], list[str]]) -> None:
    old, files, tune = exported
    again = old.with_name("new.inn")
    assert main(["export", *files, *tune, "--like", str(old), "-o", str(again)]) == 0
    assert _tensors(again) == _tensors(old)
    producers = [inn.open(path).manifest.producer for path in (old, again)]
    assert producers[0]["options"] == producers[1]["options"]
    assert "'--keep=second *'" in producers[0]["options"]
    assert [group.name for group in inn.open(again).manifest.groups] == ["conv_0"]


def test_like_another_bundle_but_for_what_is_said(exported: tuple[Path, list[str], list[str]]) -> None:
    old, files, tune = exported
    other = ["--sizes", "0.5", *(["--seen", "16"] if tune else [])]
    again = old.with_name("new.inn")
    assert main(["export", *files, *tune, "--like", str(old), *other, "-o", str(again)]) == 0
    before, after = (Options.of(inn.open(path)) for path in (old, again))
    tuning = before.tuning and replace(before.tuning, seen=16)
    assert after == replace(before, sizes=(0.5,), tuning=tuning)


@pytest.mark.parametrize("exported", ["tuned"], indirect=True)
def test_like_a_tuned_bundle_needs_images_to_tune_by(
    exported: tuple[Path, list[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    old, files, _ = exported
    again = old.with_name("new.inn")
    assert main(["export", *files, "--like", str(old), "-o", str(again)]) == 2
    assert "tune: these options are of a bundle that was tuned: give the images" in capsys.readouterr().err
    assert not again.exists()
