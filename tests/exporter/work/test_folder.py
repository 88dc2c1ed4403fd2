"""Where an export keeps what it has finished."""

from __future__ import annotations

from pathlib import Path

import pytest
from inn_exporter.work.folder import WorkFolder
from inn_runtime import UsageError


def test_parts_are_there_again(tmp_path: Path) -> None:
    WorkFolder(tmp_path / "w", "a").write("part", b"content")
    folder = WorkFolder(tmp_path / "w", "a")
    assert folder.read("part") == b"content"
    assert folder.read("other") is None
    folder.remove()
    assert not (tmp_path / "w").exists()


def test_what_another_export_left_is_gone(tmp_path: Path) -> None:
    WorkFolder(tmp_path / "w", "a").write("part", b"content")
    assert WorkFolder(tmp_path / "w", "b").read("part") is None


@pytest.mark.parametrize("damaged", [b"", b"short", bytes(80)])
def test_a_damaged_part_is_none(damaged: bytes, tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "w", "a")
    folder.write("part", b"content")
    (file,) = (file for file in folder.path.iterdir() if "part" in file.name)
    file.write_bytes(damaged)
    assert folder.read("part") is None


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"expected a work folder, found thesis\.txt"):
        WorkFolder(tmp_path, "a")
    assert (tmp_path / "thesis.txt").exists()


def test_a_place_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot keep work there"):
        WorkFolder(tmp_path / "file", "a")
    with pytest.raises(UsageError, match="cannot keep work there"):
        WorkFolder(tmp_path / "none" / "w", "a")
