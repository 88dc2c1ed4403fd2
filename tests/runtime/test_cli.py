"""The `inn` command: what it prints, what it writes, how it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from inn_runtime.cli import main
from inn_runtime.noise import noise
from safetensors.numpy import save

IMAGES = noise(1, (3, 2, 5, 4))
COMMANDS = ("info", "verify", "resample", "run", "bench", "strip")
PRESETS = "expected a number in (0, 1] or one of small (0.5), full (1)"

Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """tiny, with self-checks."""
    document, values = tiny.manifest(), tiny.tensors()
    for size in document["sizes"]:
        key = f"check/scores@{size['size']:g}"
        size["check"] = {"scores": key}
        values[key] = tiny.reference(values, size["size"], noise(0, (1, 2, 5, 4))).astype(np.float32)
    return tiny.write(tmp_path / "tiny.inn", document, values)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", IMAGES)
    return tmp_path / "x.npy"


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def fails(cli: Run) -> Callable[..., str]:
    """Run a command that must fail with this code and one line, which is returned."""

    def run(code: int, *arguments: object) -> str:
        found, output, errors = cli(*arguments)
        assert (found, output) == (code, "")
        assert errors.startswith("inn")
        assert ": error: " in errors
        assert errors.count("\n") == 1
        assert errors.endswith("\n")
        return errors

    return run


def inn_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inn_runtime.cli", *map(str, arguments)]
    return subprocess.run(command, check=False, text=True, **{"capture_output": True, **options})


# Every command, done


def test_info(cli: Run, bundle: Path) -> None:
    code, output, errors = cli("info", bundle)
    assert (code, errors) == (0, "")
    assert "1 x 2 x 5 x 4" in output
    assert inn.open(bundle).file_digest in output
    table = output.splitlines()[-3:]
    assert table[0].split() == ["size", "parameters", "MFLOPs", "agreement"]
    assert table[1].split() == ["small", "0.5", "199", "0.01", "90.00", "%"]
    assert table[2].split() == ["full", "1", "611", "0.02", "-"]


def test_info_says_what_widths_were_chosen_by(cli: Run, bundle: Path, tmp_path: Path) -> None:
    assert "schedule" not in cli("info", bundle)[1]
    path = tiny.write(tmp_path / "b.inn", {**tiny.manifest(), "schedule": "flops"})
    assert "schedule  each size takes the FLOPs of that uniform width" in cli("info", path)[1]
    assert json.loads(cli("info", path, "--json")[1])["schedule"] == "flops"


def test_info_as_json(cli: Run, bundle: Path) -> None:
    code, output, _ = cli("info", bundle, "--json")
    found = json.loads(output)
    assert code == 0
    assert (found["name"], found["labels"], found["inputs"]) == (
        "tiny",
        ["a", "b", "c"],
        {"image": [1, 2, 5, 4]},
    )
    assert [(s["name"], s["size"], s["widths"]) for s in found["sizes"]] == [
        ("small", 0.5, [4, 3]), ("full", 1.0, [8, 6])
    ]  # fmt: skip
    assert found["sizes"][0]["measured"] == {"agreement": 0.9}
    assert found["bytes"] == bundle.stat().st_size


def test_verify(cli: Run, bundle: Path) -> None:
    code, output, errors = cli("verify", bundle)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0] == "11 tensors: digests match, values are finite"
    assert lines[1].startswith("size 0.5: output 'scores' agrees to ")
    assert lines[2].startswith("size 1: output 'scores' agrees to ")


def test_verify_as_json(cli: Run, bundle: Path) -> None:
    code, output, _ = cli("verify", bundle, "--json")
    found = json.loads(output)
    assert (code, found["tensors"]) == (0, 11)
    assert [(c["size"], c["output"]) for c in found["checks"]] == [(0.5, "scores"), (1.0, "scores")]
    assert all(check["difference"] < 1e-5 for check in found["checks"])


def test_verify_without_expected_outputs(cli: Run, tmp_path: Path) -> None:
    code, output, _ = cli("verify", tiny.write(tmp_path / "a.inn"))
    assert code == 0
    assert output.splitlines()[1] == "the bundle holds no expected outputs to check the engine with"


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


def test_run_prints_the_best_classes(cli: Run, bundle: Path, images: Path) -> None:
    code, output, errors = cli("run", bundle, "--size", "small", "--input", images, "--top", "2")
    assert (code, errors) == (0, "")
    expected = tiny.reference(tiny.tensors(), 0.5, IMAGES)
    for index, (line, scores) in enumerate(zip(output.splitlines(), expected)):
        first, second = np.argsort(-scores)[:2]
        found = line.split()
        assert found[0] == f"scores[{index}]:"
        assert (found[1], found[3]) == ("abc"[first], "abc"[second])
        assert float(found[2]) == pytest.approx(scores[first], abs=1e-3)


def test_run_as_json(cli: Run, bundle: Path, images: Path) -> None:
    code, output, _ = cli("run", bundle, "--input", images, "--json")
    assert code == 0
    np.testing.assert_allclose(
        json.loads(output)["scores"], tiny.reference(tiny.tensors(), 1.0, IMAGES), atol=1e-5
    )


def test_run_writes_npz_and_reads_npz(cli: Run, bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=IMAGES, labels=np.arange(3))
    code, output, _ = cli("run", bundle, "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert (code, output) == (0, f"{tmp_path / 'y.npz'}: scores (3, 3)\n")
    with np.load(tmp_path / "y.npz") as found:
        np.testing.assert_allclose(found["scores"], tiny.reference(tiny.tensors(), 1.0, IMAGES), atol=1e-5)


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
    data = Path(__file__).parents[1] / "data"
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


def test_resample_to_a_budget(
    cli: Run, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inn_runtime.device_profile.cache_folder", lambda: tmp_path / "cache")
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


def test_strip(cli: Run, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.inn"
    code, output, _ = cli("strip", bundle, "-o", path)
    assert code == 0
    assert output.startswith(f"{path}: {path.stat().st_size / 1e6:.2f} MB of ")
    assert path.stat().st_size < bundle.stat().st_size
    assert cli("verify", path)[0] == 0


def test_strip_refuses_to_leave_nothing(fails: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    line = fails(2, "strip", bundle, "--max-size=0.3", "-o", tmp_path / "b.inn")
    assert "no size below 1 is from 0 to 0.3: the bundle has 0.5, 1" in line
    assert not (tmp_path / "b.inn").exists()


# Help


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help(cli: Run, arguments: list[str]) -> None:
    code, output, errors = cli(*arguments)
    assert (code, errors) == (0, "")
    assert output.startswith(f"usage: inn {'' if len(arguments) == 1 else arguments[0]}")


def test_help_lists_the_commands_and_version_prints_it(cli: Run) -> None:
    _, output, _ = cli("--help")
    assert all(f"\n    {command} " in output for command in COMMANDS)
    assert cli("--version") == (0, f"innlite {inn.__version__}\n", "")


# Mistakes and misfortunes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["info"], "required: MODEL.inn"),
        (["resample", "a.inn"], "expected --size or a budget (--max-ms, "),
        (["resample", "a.inn", "--size=1", "--max-ms=1"], "found both"),
        (["resample", "a.inn", "--size=1"], "required: -o/--output"),
        (["resample", "a.inn", "--size=1", "--explain"], "--explain: expected a budget"),
        (["resample", "a.inn", "--max-ms=fast"], "--max-ms: invalid float value"),
        (["bench", "a.inn", "--runs", "many"], "--runs: invalid int value: 'many'"),
        (["bench", "a.inn", "--engine", "gpu"], "invalid choice: 'gpu'"),
        (["info", "a.inn", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_wrong_arguments(fails: Callable[..., str], arguments: list[str], message: str) -> None:
    assert message in fails(2, *arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_bundles_that_cannot_be_opened(
    fails: Callable[..., str], bundle: Path, images: Path, tmp_path: Path, command: str
) -> None:
    more = {
        "resample": ["--size", "small", "-o", tmp_path / "a.ms"],
        "run": ["--input", images],
        "strip": ["-o", tmp_path / "b.inn"],
    }.get(command, [])
    content = bundle.read_bytes()
    (tmp_path / "text").write_text("What is this? Certainly no bundle.")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "short").write_bytes(content[: len(content) // 2])
    (tmp_path / "other").write_bytes(save({"x": np.zeros(3)}))
    newer = tiny.write(tmp_path / "newer", {**tiny.manifest(), "format_version": 3})
    for path, message in [
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "text", "not an INN-Lite bundle"),
        (tmp_path / "empty", "not an INN-Lite bundle"),
        (tmp_path / "short", "truncated"),
        (tmp_path / "other", "no 'innlite' key"),
        (newer, "bundle format version 3; this runtime reads version 2"),
        ("/dev/zero", "expected a file, found a device or pipe"),
    ]:
        line = fails(2, command, path, *more)
        assert line.startswith(f"inn {command}: error: {path}: ")
        assert message in line
    assert not (tmp_path / "a.ms").exists()


def test_damaged_bundle(fails: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[-3] ^= 1
    bundle.write_bytes(content)
    assert "is damaged: expected sha256" in fails(2, "verify", bundle)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("huge", f"size 'huge': {PRESETS}"),
        ("1.5", f"size '1.5': {PRESETS}"),
        ("0", f"size '0': {PRESETS}"),
        ("-1", f"size '-1': {PRESETS}"),
        ("nan", f"size 'nan': {PRESETS}"),
        ("0.3", "size 0.3: the smallest size of this bundle is 0.5"),
    ],
)
def test_wrong_sizes(
    fails: Callable[..., str], bundle: Path, images: Path, tmp_path: Path, size: str, message: str
) -> None:
    assert message in fails(2, "resample", bundle, f"--size={size}", "-o", tmp_path / "a.ms")
    assert message in fails(2, "run", bundle, f"--size={size}", "--input", images)
    assert message in fails(2, "bench", bundle, f"--sizes={size}")
    assert not (tmp_path / "a.ms").exists()


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


def test_bundle_without_presets(fails: Callable[..., str], tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn", {**tiny.manifest(), "presets": {}})
    assert "has no presets; give --sizes" in fails(2, "bench", path)


def test_wrong_inputs(fails: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", IMAGES[0])
    np.save(tmp_path / "bytes.npy", np.zeros((1, 2, 5, 4), np.uint8))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "names.npz", picture=IMAGES)
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").write_text("")
    for name, message in [
        ("flat.npy", "input 'image': expected shape (batch, 2, 5, 4), found (2, 5, 4)"),
        ("bytes.npy", "input 'image': expected float32 values, found uint8"),
        ("objects.npy", "not a .npy or .npz file of plain arrays"),
        ("names.npz", "inputs: expected the names image, found picture"),
        ("text.npy", "not a .npy or .npz file of plain arrays"),
        ("empty.npy", "not a .npy or .npz file of plain arrays"),
        ("none.npy", "No such file or directory"),
        (".", "Is a directory"),
    ]:
        assert message in fails(2, "run", bundle, "--input", tmp_path / name)
    assert "--top: expected at least 1, found 0" in fails(2, "run", bundle, "--input", "x.npy", "--top", "0")


def test_self_check_that_fails(fails: Callable[..., str], cli: Run, tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["sizes"][0]["check"] = {"scores": "check/scores@0.5"}
    values["check/scores@0.5"] = np.ones((1, 3), np.float32)
    path = tiny.write(tmp_path / "a.inn", document, values)
    line = fails(1, "verify", path, "--json")
    assert "size 0.5: output 'scores' differs from the self-check by" in line
    assert cli("verify", path)[0] == 1


def test_output_that_cannot_be_written(
    fails: Callable[..., str], bundle: Path, images: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    for path, code, message in [
        (tmp_path / "none" / "a", 2, "cannot write there: No such file or directory"),
        (tmp_path, 2, "expected a file name, found a folder"),
        (bundle / "a", 2, "cannot write there: Not a directory"),
        ("/dev/full", 1, "No space left on device"),
    ]:
        assert message in fails(code, "resample", bundle, "--size", "small", "-o", path)
        assert message in fails(code, "run", bundle, "--input", images, "-o", path)
    assert sorted(tmp_path.iterdir()) == before


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


def test_engine_that_is_missing(bundle: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['mindspore_lite'] = None; from inn_runtime.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", script, "bench", str(bundle), "--engine", "vendor"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("inn bench: error: ")
    assert ended.stderr.count("\n") == 1


def test_out_of_memory(fails: Callable[..., str], bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: object) -> None:
        raise MemoryError

    monkeypatch.setattr("inn_runtime.cli.commands.open_bundle", fail)
    assert "out of memory" in fails(1, "info", bundle)


def test_interruption(cli: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inn_runtime.cli.commands.open_bundle", interrupt)
    assert cli("info", bundle) == (130, "", "")


def test_errors_take_one_line_whatever_the_file_is_called(fails: Callable[..., str], tmp_path: Path) -> None:
    assert "two lines" in fails(2, "info", tmp_path / "two\nlines")


# Standard output


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_full_standard_output(bundle: Path, options: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = inn_process(
            "info", bundle, *options, capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "No space left on device" in ended.stderr


@pytest.mark.parametrize("command", [["info"], ["verify"], ["info", "--json"], ["--help"]])
def test_broken_pipe(bundle: Path, command: list[str]) -> None:
    arguments = command if command == ["--help"] else [command[0], bundle, *command[1:]]
    words = [sys.executable, "-m", "inn_runtime.cli", *map(str, arguments)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")


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


# Start


def test_commands_load_no_more_than_they_need(bundle: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from inn_runtime.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = {'mindspore', 'inn_exporter', 'onnx', 'scipy', 'rich'} & set(sys.modules)\n"
        "heavy |= {'engine'} if 'libmindspore' in open('/proc/self/maps').read() else set()\n"
        "print(code, sorted(heavy), file=sys.stderr)\n"
    )
    for arguments in (["info", bundle], ["resample", bundle, "--size", "small", "-o", tmp_path / "a.ms"]):
        command = [sys.executable, "-c", script, *map(str, arguments)]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stderr == "0 []\n"


def test_without_the_exporter_its_commands_are_lacking(bundle: Path) -> None:
    script = "import sys; sys.modules['onnx'] = None; from inn_runtime.cli import main; sys.exit(main())"

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    assert run("info", bundle).returncode == 0
    shown = run("--help")
    assert shown.returncode == 0
    assert "resample" in shown.stdout
    lacking = run("export", "a.onnx")
    assert (lacking.returncode, lacking.stderr.count("\n")) == (2, 1)
    assert "inn export: error: needs the exporter: pip install 'innlite[export]'" in lacking.stderr


def _with_curve(path: Path, safe_from: float) -> Path:
    document = tiny.manifest()
    for size, agreement in zip(document["sizes"], (0.4, 1.0)):
        size["measured"] = {"agreement": agreement}
    document["curve"] = {"metrics": ["agreement"], "n": 10, "safe_from": safe_from}
    return tiny.write(path, document)


def test_sizes_below_the_safe_range_warn_or_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, output = _with_curve(tmp_path / "a.inn", 1.0), tmp_path / "a.ms"
    assert main(["resample", str(bundle), "--size", "small", "-o", str(output), "--strict"]) == 2
    assert "measured to collapse below size 1" in capsys.readouterr().err
    assert not output.exists()
    assert main(["resample", str(bundle), "--size", "small", "-o", str(output)]) == 0
    assert "warning: size 0.5" in capsys.readouterr().err
    assert main(["resample", str(bundle), "--size", "full", "-o", str(output), "--strict"]) == 0
    assert not capsys.readouterr().err


def test_the_curve_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    bundle, picture = _with_curve(tmp_path / "a.inn", 1.0), tmp_path / "curve.png"
    assert main(["info", str(bundle), "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "from size 1 up" in capsys.readouterr().out
