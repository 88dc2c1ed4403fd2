"""What the tests of commands share: a bundle, arrays, and running a command in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
from command import Run
from inn_runtime.cli import main
from inn_runtime.noise import noise


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
    np.save(tmp_path / "x.npy", noise(1, (3, 2, 5, 4)))
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


@pytest.fixture
def collapsing(tmp_path: Path) -> Path:
    """tiny, measured to collapse below size 1."""
    document = tiny.manifest()
    for size, agreement in zip(document["sizes"], (0.4, 1.0)):
        size["measured"] = {"agreement": agreement}
    document["curve"] = {"metrics": ["agreement"], "n": 10, "safe_from": 1.0}
    return tiny.write(tmp_path / "a.inn", document)
