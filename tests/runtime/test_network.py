"""A bundle and its network at a size: costs, sizes, and what importing all this loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import inn_runtime as inn
import pytest
import tiny
from hostile import check_message


def test_costs_follow_the_widths(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    full, small = bundle.resample("full"), bundle.resample("small")
    assert full.parameters == 8 * 18 + 8 + 6 * 72 + 6 + 18 + 3
    assert small.parameters == 4 * 18 + 4 + 3 * 36 + 3 + 9 + 3
    assert full.macs == 20 * (8 * 18 + 6 * 72) + 18
    assert small.macs == 20 * (4 * 18 + 3 * 36) + 9


def test_sizes_that_are_no_sizes(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    for size in (10**400, "x" * 100_000, "\x1b[31m", None, [1]):
        with pytest.raises(inn.UsageError, match="expected a number in") as caught:
            bundle.resample(size)  # type: ignore[arg-type]
        check_message(caught.value)


def test_imports_are_light(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    script = (
        "import sys; before = set(sys.modules)\n"
        "import inn_runtime as inn\n"
        f"inn.open({str(path)!r}).resample('small').to_bytes()\n"
        f"from inn_runtime.cli.summary import describe; describe(inn.open({str(path)!r}))\n"
        "found = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "import json; print(json.dumps(sorted(found - set(sys.stdlib_module_names))))\n"
        "print('mindspore' in open('/proc/self/maps').read())\n"
    )
    lines = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    modules, engine = lines.splitlines()
    compiled = {"cython_runtime", *(m for m in json.loads(modules) if m.startswith("_cython"))}  # NumPy's
    assert set(json.loads(modules)) - compiled == {"inn_runtime", "numpy", "safetensors", "flatbuffers"}
    assert engine == "False"
