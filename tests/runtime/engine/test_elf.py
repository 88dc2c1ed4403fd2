"""Libraries that are not whole are refused before the loader maps them, which would end the process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from inn_runtime.engine.elf import defect
from inn_runtime.engine.library import find_library

LIBRARY = Path(next(Path(np.__file__).parent.rglob("*.so")))


def test_whole_libraries_have_no_defect() -> None:
    assert defect(LIBRARY) is None
    assert [defect(path) for path in find_library().load_order()] == [None] * len(find_library().load_order())


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0, "is no 64-bit ELF library"),
        (1e-4, "is no|damaged|truncated"),
        (0.5, "is truncated: expected "),
        (0.99, "trun"),
    ],
)
def test_truncated_libraries(tmp_path: Path, share: float, message: str) -> None:
    content = LIBRARY.read_bytes()
    path = tmp_path / "lib.so"
    path.write_bytes(content[: int(share * len(content))])
    found = defect(path)
    assert found is not None
    assert found.startswith("lib.so")
    assert any(part in found for part in message.split("|"))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"not a library\n" * 100,
        lambda content: content[:4] + b"\x01" + content[5:],
        lambda content: content[:40] + b"\xff" * 8 + content[48:],
        lambda content: content[:56] + b"\xff\xff" + content[58:],
    ],
)
def test_what_is_no_library(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    (tmp_path / "lib.so").write_bytes(change(LIBRARY.read_bytes()))
    assert defect(tmp_path / "lib.so") is not None
    assert "No such file" in (defect(tmp_path / "none.so") or "")


@pytest.mark.parametrize("engine", ["native", "worker"])
def test_a_truncated_engine_ends_in_an_error(tmp_path: Path, engine: str) -> None:
    whole = find_library().folder
    folder = tmp_path / "mindspore_lite"
    for path in [p for p in whole.rglob("*") if p.is_file()]:
        target = folder / path.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    library = folder / "lib" / "libmindspore_core.so"
    library.unlink()
    library.write_bytes((whole / "lib" / library.name).read_bytes()[:5_000_000])
    code = f"import inn_runtime.engine as e\ne.load_engine({engine!r})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "INNLITE_MINDSPORE_LITE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "libmindspore_core.so is truncated: expected " in result.stderr.splitlines()[-1]
