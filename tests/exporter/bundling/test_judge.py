"""The source file judges the full size: what does not compute the same becomes no bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from inn_exporter import export
from inn_exporter.bundling import judge
from inn_exporter.bundling.judge import SourceMismatchError
from inn_exporter.operators import OPERATORS
from inn_runtime.cli import main
from networks import Network, images, run_onnx
from onnx import ModelProto


def model(scale: float = 1.0) -> ModelProto:
    n = Network()
    n.random = np.random.default_rng(round(10 * scale))
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 12))
    x = n.node("Sigmoid", n.conv(x, 12, 16))
    n.output(n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 16, 5))
    return n.model()


DATA = {"x": images(40, 3, 8, 8)}


def test_a_bundle_says_how_far_it_is_from_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(model(), tmp_path / "m.onnx")
    bundle = export(tmp_path / "m.onnx", tmp_path / "a.inn", DATA, sizes=(0.5, 1.0), effort="fast")
    assert 1e-6 < bundle.manifest.source_difference < 3e-3
    expected = run_onnx(model(), DATA)
    with bundle.resample(1.0).session() as session:
        found = session.run(DATA["x"])
    (values,) = expected.values()
    assert np.abs(found - values).max() <= 4e-3 * np.abs(values).max()
    assert main(["info", bundle.source]) == 0
    assert "source    full size agrees to " in capsys.readouterr().out
    assert main(["verify", bundle.source, "--source", str(tmp_path / "m.onnx")]) == 0
    assert f"agrees with {tmp_path / 'm.onnx'} to " in capsys.readouterr().out


def test_verify_tells_another_networks_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = export(model(), tmp_path / "a.inn", DATA, sizes=(1.0,), effort="fast")
    onnx.save(model(2.0), tmp_path / "other.onnx")
    assert main(["verify", bundle.source, "--source", str(tmp_path / "other.onnx")]) == 1
    assert "differs from" in capsys.readouterr().err
    assert main(["verify", bundle.source, "--source", str(tmp_path / "none.onnx")]) == 2


def test_a_wrong_operator_ends_the_export_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = OPERATORS["Sigmoid"].forward

    def wrong(node: Any, inputs: Any) -> Any:
        return 0.9 * right(node, inputs)

    monkeypatch.setattr(OPERATORS["Sigmoid"], "forward", wrong)
    with pytest.raises(SourceMismatchError, match=r"differs .* they part|the two part at tensor 'sigmoid"):
        export(model(), tmp_path / "a.inn", DATA, sizes=(0.5,), effort="fast")
    assert not (tmp_path / "a.inn").exists()


def test_a_storage_that_costs_too_much_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(judge.BOUNDS, "float16", 1e-7)
    with pytest.raises(
        SourceMismatchError, match=r"float16 costs too much here \(weight '.*use storage float32"
    ):
        export(model(), tmp_path / "a.inn", DATA, sizes=(0.5,), effort="fast")
    assert not (tmp_path / "a.inn").exists()


def test_a_wrong_engine_is_told_from_a_wrong_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = judge._in_engine
    monkeypatch.setattr(judge, "_in_engine", lambda *a: {n: 1.1 * v for n, v in (right(*a) or {}).items()})
    with pytest.raises(SourceMismatchError, match=r"in MindSpore Lite, output .* in MindSpore it is right"):
        export(model(), tmp_path / "a.inn", DATA, sizes=(0.5,), effort="fast")
    assert not (tmp_path / "a.inn").exists()


def test_without_the_engine_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "find_local_library", lambda: None)
    with pytest.warns(UserWarning, match="MindSpore Lite is not on this machine yet"):
        export(model(), tmp_path / "a.inn", DATA, sizes=(0.5,), effort="fast")


def test_agreement_is_with_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where int8 moves some answers of the full size, its row says so."""
    bundle = export(model(), tmp_path / "a.inn", {"x": images(600, 3, 8, 8)}, sizes=(1.0,), storage="int8")
    (full,) = bundle.manifest.sizes
    assert 0.9 < full.measured["agreement"] <= 1.0
    assert 1e-4 < bundle.manifest.source_difference < 0.1


def test_a_tuned_network_is_judged_by_itself(tmp_path: Path) -> None:
    from inn_exporter import Tuning

    tuning = Tuning(seen=128, batch=32, rate=0.01)
    bundle = export(model(), tmp_path / "a.inn", DATA, sizes=(0.5,), tune=DATA, tuning=tuning)
    assert bundle.manifest.source_difference < 3e-3
