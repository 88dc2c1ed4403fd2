"""The `inn` command as a whole: help, mistakes and misfortunes, standard output, what it loads."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from command import PRESETS, Run, inn_process
from safetensors.numpy import save

COMMANDS = ("info", "verify", "resample", "run", "bench", "strip")


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


def test_bundle_without_presets(fails: Callable[..., str], tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn", {**tiny.manifest(), "presets": {}})
    assert "has no presets; give --sizes" in fails(2, "bench", path)


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
    def fail(options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("inn_runtime.cli.commands.opened", fail)
    assert "out of memory" in fails(1, "info", bundle)


def test_interruption(cli: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inn_runtime.cli.commands.opened", interrupt)
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


def test_inputs_are_not_overwritten(fails: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    content = bundle.read_bytes()
    np.save(tmp_path / "x.npy", np.zeros((1, 2, 5, 4), np.float32))
    (tmp_path / "link.ms").symlink_to(bundle)
    for arguments in (
        ["resample", bundle, "--size", "small", "-o", bundle],
        ["resample", bundle, "--size", "small", "-o", tmp_path / "link.ms"],
        ["strip", bundle, "-o", bundle],
        ["bench", bundle, "-o", bundle],
        ["info", bundle, "--plot", bundle],
        ["run", bundle, "--input", tmp_path / "x.npy", "-o", tmp_path / "x.npy"],
        ["bench", bundle, "--compare", tmp_path / "x.npy", "-o", tmp_path / "x.npy"],
    ):
        assert "is read as an input" in fails(2, *arguments)
    assert bundle.read_bytes() == content


@pytest.mark.parametrize("command", ["verify", "bench", "resample", "serve"])
def test_commands_for_strangers_files_run_the_engine_in_a_process_of_its_own(command: str) -> None:
    required = ["-o", "a.ms"] if command == "resample" else []
    parser = importlib.import_module("inn_runtime.cli.main")._parser(command)
    assert parser.parse_args([command, "a.inn", *required]).engine == "worker"
    assert parser.parse_args([command, "a.inn", *required, "--engine", "native"]).engine == "native"
    assert parser.parse_args(["run", "a.inn", "--input", "x.npy"]).engine == "auto"
