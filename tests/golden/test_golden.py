"""Exports give the bundles that they gave before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mindspore")

from tests.golden.cases import CASES
from tests.golden.records import FOLDER, TOLERANCE, differences, export, fingerprint, portable, record


def _expected(name: str) -> tuple[dict[str, Any], bool]:
    """A case's record, and whether this is the kind of machine on which it was made."""
    content = json.loads((FOLDER / f"{name}.json").read_text())
    return content, content.pop("fingerprint") == fingerprint()


@pytest.mark.parametrize("name", CASES)
def test_the_bundle_is_as_before(name: str, tmp_path: Path) -> None:
    expected, same_machine = _expected(name)
    found = json.loads(json.dumps(record(export(CASES[name], tmp_path))))
    if same_machine:
        lines = list(differences(found, expected))
    else:
        lines = list(differences(portable(found), portable(expected), TOLERANCE))
    assert not lines, "\n".join([*lines[:20], "meant? python -m tests.golden.make"])


def test_every_record_has_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CASES)


def test_a_changed_value_is_noticed() -> None:
    expected, _ = _expected("residual-refit")
    changed = json.loads(json.dumps(expected))
    name = next(name for name in changed["tensors"] if name.startswith("weight/"))
    changed["tensors"][name]["norm"] *= 1.01
    assert list(differences(changed, expected))
    assert not list(differences(expected, expected))
    assert list(differences(portable(changed), portable(expected), TOLERANCE))
