"""`inn resample`: to a size, to a budget, to float16, to standard output."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import inn_runtime as inn
import pytest
from command import Run
from inn_runtime.cli import main


def test_resample(cli: Run, bundle: Path, tmp_path: Path) -> None:
    code, output, errors = cli("resample", bundle, "--size", "small", "-o", tmp_path / "a.ms")
    content = (tmp_path / "a.ms").read_bytes()
    assert (code, errors) == (0, "")
    assert content == bytes(inn.open(bundle).resample(0.5).to_bytes())
    assert output == f"{tmp_path / 'a.ms'}: size 0.5, 199 parameters, 0.01 MFLOPs, 0.00 MB\n"


def test_resample_as_json_between_sizes(cli: Run, bundle: Path, tmp_path: Path) -> None:
    code, output, errors = cli("resample", bundle, "--size", "0.7", "-o", tmp_path / "a.ms", "--json")
    found = json.loads(output)
    assert (code, found["size"], found["widths"]) == (0, 0.5, {"g0": 4, "g1": 3})
    assert found["bytes"] == (tmp_path / "a.ms").stat().st_size
    assert errors == "size 0.7 is not calibrated; using 0.5, the next below\n"


def test_resample_to_a_budget(
    cli: Run, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inn_runtime.budget.profile.cache_folder", lambda: tmp_path / "cache")
    path = tmp_path / "a.ms"
    code, output, errors = cli("resample", bundle, "--max-ms=1000", "-o", path, "--explain")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].split() == ["size", "MFLOPs", "ms", "agreement", "%"]
    assert [(line.split()[0], line.split()[-1]) for line in lines[1:3]] == [("0.5", "fits"), ("1", "chosen")]
    assert lines[3].startswith(f"{path}: size 1, 611 parameters")
    assert lines[3].endswith(" ms measured")
    assert path.read_bytes() == bytes(inn.open(bundle).resample(1.0).to_bytes())
    small = inn.open(bundle).resample(0.5)
    code, output, _ = cli(
        *("resample", bundle, f"--max-model-mb={small.model_bytes / 1e6}", "--min-agreement=0.8"),
        *("--explain", "--json"),
    )
    found = json.loads(output)
    assert (code, found["size"], found["bytes"]) == (0, 0.5, small.model_bytes)
    assert found["measured"]["agreement"] == 0.9
    assert [candidate["breaks"] for candidate in found["candidates"]] == [[], ["agreement"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-ms=0"], "budget: latency_ms: expected a positive number, found 0.0"),
        (["--max-ms=nan"], "budget: latency_ms: expected a positive number, found nan"),
        (["--max-mb=-1"], "budget: memory_mb: expected a positive number, found -1.0"),
        (["--min-agreement=2"], "budget: agreement: expected a number in (0, 1], found 2.0"),
        (["--min-accuracy=0.5"], "accuracy ≥ 0.5: the bundle holds no measured accuracy"),
        (["--max-flops=10"], "the smallest size, 0.5, has flops "),
        (["--max-ms=1e-9"], "the smallest size, 0.5, has latency_ms "),
    ],
)
def test_impossible_budgets(
    fails: Callable[..., str], bundle: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    assert message in fails(2, "resample", bundle, *options, "-o", tmp_path / "a.ms")
    assert not (tmp_path / "a.ms").exists()


def test_resample_to_float16(cli: Run, bundle: Path, tmp_path: Path) -> None:
    code, output, _ = cli(
        "resample", bundle, "--size=1", "--weights=float16", "-o", tmp_path / "a.ms", "--json"
    )
    assert (code, json.loads(output)["weights"]) == (0, "float16")
    assert (tmp_path / "a.ms").read_bytes() == bytes(
        inn.open(bundle).resample(1, weights="float16").to_bytes()
    )


def test_full_disk_leaves_the_old_file(bundle: Path, tmp_path: Path) -> None:
    # A limit makes the kernel fail the write halfway, as a full disk does.
    (tmp_path / "a.ms").write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    script = (
        "import resource, signal, sys\n"
        "from inn_runtime.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [
        sys.executable,
        "-c",
        script,
        "resample",
        str(bundle),
        "--size=full",
        "-o",
        str(tmp_path / "a.ms"),
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"inn resample: error: {tmp_path / 'a.ms'}: cannot write ")
    assert ended.stderr.count("\n") == 1
    assert (tmp_path / "a.ms").read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_may_go_to_standard_output(bundle: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "inn_runtime.cli",
        "resample",
        str(bundle),
        "--size=small",
        "-o",
        "/dev/stdout",
    ]
    ended = subprocess.run(command, check=True, capture_output=True)
    expected = bytes(inn.open(bundle).resample(0.5).to_bytes())
    assert ended.stdout.startswith(expected)


def test_sizes_below_the_safe_range_warn_or_are_refused(
    collapsing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.ms"
    assert main(["resample", str(collapsing), "--size", "small", "-o", str(output), "--strict"]) == 2
    assert "measured to collapse below size 1" in capsys.readouterr().err
    assert not output.exists()
    assert main(["resample", str(collapsing), "--size", "small", "-o", str(output)]) == 0
    assert "warning: size 0.5" in capsys.readouterr().err
    assert main(["resample", str(collapsing), "--size", "full", "-o", str(output), "--strict"]) == 0
    assert not capsys.readouterr().err
