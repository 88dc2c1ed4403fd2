"""`inn strip`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from command import Run


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
