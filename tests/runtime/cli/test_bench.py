"""`inn bench`: its table, JSON and plot, and models of others beside a bundle's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import inn_runtime as inn
import pytest
from command import PRESETS, Run, inn_process


def test_bench(cli: Run, bundle: Path) -> None:
    code, output, errors = cli("bench", bundle, "--runs", "5", "--warmup", "2", "--threads", "2")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].startswith("tiny on ")
    assert lines[1].startswith("MindSpore Lite 2.0.0 (")
    assert lines[1].endswith("2 threads, batch 1, 2 warm-up and 5 timed runs")
    assert lines[4].split() == [
        *("size", "min", "mean", "p50", "p95", "max", "std"),
        *("first", "build", "resample", "model", "memory", "peak"),
    ]
    assert [line.split()[:2] for line in lines[5:]] == [["small", "0.5"], ["full", "1"]]
    assert len({len(line) for line in lines[4:]}) == 1


def test_bench_as_json_and_to_a_file(cli: Run, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    code, output, _ = cli(
        *("bench", bundle, "--sizes", "0.6, small,full", "--runs", "20", "--warmup", "0", "--batch", "3"),
        *("--json", "-o", path),
    )
    rows = json.loads(output)
    assert code == 0
    assert json.loads(path.read_text()) == rows
    assert [(row["name"], row["size"], row["runs"], row["batch"]) for row in rows] == [
        ("small", 0.5, 20, 3), ("full", 1.0, 20, 3)
    ]  # fmt: skip
    for row in rows:
        assert 0 < row["min"] <= row["p50"] <= row["p95"] <= row["max"]
        assert row["min"] <= row["mean"] <= row["max"]
        assert row["std"] >= 0
        assert min(row["first"], row["build"], row["resample"], row["peak_memory"]) > 0
        assert row["model_bytes"] == len(inn.open(bundle).resample(row["size"]).to_bytes())
        assert row["warmup_mean"] is None
        assert (row["threads"], row["engine_version"]) == (1, "2.0.0")


@pytest.mark.parametrize("engine", ["native", "worker"])
def test_bench_knows_the_memory_of_either_engine(bundle: Path, engine: str) -> None:
    ended = inn_process("bench", bundle, "--sizes", "small", "--runs", "2", "--engine", engine, "--json")
    (row,) = json.loads(ended.stdout)
    assert row["engine"] == engine
    assert row["peak_memory"] > 50e6  # MindSpore Lite alone


def test_bench_times_nodes_and_sweeps_threads(cli: Run, bundle: Path) -> None:
    code, output, errors = cli(
        *(
            "bench",
            bundle,
            "--sizes=small",
            "--runs=3",
            "--threads=1,2",
            "--layers",
            "--no-memory",
            "--cool=0.01",
        )
    )
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert [line.split(", ")[1] for line in lines if line.startswith("MindSpore Lite")] == [
        "1 thread",
        "2 threads",
    ]
    assert [line.split()[-2:] for line in lines if line.startswith("small  ")] == [["-", "-"]] * 2
    first = lines.index("small, threads 1")
    assert [line.split()[0] for line in lines[first + 1 : first + 9]] == [
        "node",
        "c0",
        "c1",
        "mean",
        "t",
        "f",
        "d",
        "all",
    ]
    assert "small, threads 2" in lines


def test_bench_against_other_files(cli: Run, bundle: Path, tmp_path: Path) -> None:
    inn.open(bundle).resample("full").save(tmp_path / "a.ms")
    data = Path(__file__).parents[2] / "data"
    shutil.copy(data / "torch_residual-dynamo-18-dynamic-raw.onnx", tmp_path / "b.onnx")
    code, output, _ = cli(
        *("bench", bundle, "--sizes=small", "--runs=10", "--no-memory", "--json", "--weights=float16"),
        *("--compare", tmp_path / "a.ms", "--compare", tmp_path / "b.onnx"),
    )
    (row,) = json.loads(output)
    assert (code, row["weights"]) == (0, "float16")
    assert [entry["with"].split()[0] for entry in row["compare"]] == ["MindSpore", "ONNX"]
    for entry in row["compare"]:
        assert entry["ratio"] == pytest.approx(entry["p50"] / entry["other_p50"])
        assert entry["p50"] > 0


def test_bench_draws(cli: Run, bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    code, _, _ = cli("bench", bundle, "--runs=2", "--threads=1,2", "--plot", tmp_path / "a.png")
    assert code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_bench_refuses_what_it_cannot_compare(
    fails: Callable[..., str], bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.ms").write_text("no model")
    (tmp_path / "a.onnx").write_text("no model")
    options = ("bench", bundle, "--sizes=small", "--runs=2", "--no-memory", "--json", "--compare")
    assert "expected a .ms or .onnx file" in fails(2, *options, tmp_path / "a.txt")
    assert "No such file" in fails(2, *options, tmp_path / "none.ms")
    assert "MindSpore Lite: build" in fails(1, *options, tmp_path / "a.ms")
    assert "ONNX Runtime: " in fails(1, *options, tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--runs=0", "runs: expected at least 1, found 0"),
        ("--warmup=-1", "warmup: expected at least 0, found -1"),
        ("--batch=0", "batch: expected at least 1, found 0"),
        ("--threads=0", "threads: expected an integer from 1"),
        ("--sizes=,", PRESETS),
    ],
)
def test_wrong_counts(fails: Callable[..., str], bundle: Path, option: str, message: str) -> None:
    assert message in fails(2, "bench", bundle, option)
