"""Opening files and reading their tensors: good ones, damaged ones, hostile ones."""

from __future__ import annotations

import errno
import json
import os
import struct
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hostile import NO_BUNDLES, check_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_opens_what_the_format_page_describes(tmp_path: Path) -> None:
    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    assert bundle.manifest.full_widths == tiny.CHANNELS
    assert sorted(bundle.verify()) == sorted(tiny.tensors())


@pytest.mark.parametrize(("content", "message"), NO_BUNDLES)
def test_refuses_files_that_are_no_bundle(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.inn"
    path.write_bytes(content)
    with pytest.raises(inn.BundleError, match=message):
        inn.open(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(inn.UsageError, match="No such file"):
        inn.open(tmp_path / "none.inn")
    with pytest.raises(inn.UsageError, match="directory"):
        inn.open(tmp_path)


def test_header_that_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.inn"
    for field in (
        {"dtype": "\n\x1b[31m" * 100},
        {"dtype": "BF16"},
        {"data_offsets": [6, 0]},
        {"shape": [1 << 40]},
    ):
        entry = {"dtype": "F16", "shape": [3], "data_offsets": [0, 6], **field}
        header = json.dumps({"__metadata__": {"innlite": "{}"}, "a\n" * 1000: entry}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 6)
        with pytest.raises(inn.BundleError) as caught:
            inn.open(path)
        check_message(caught.value)


def test_a_file_changed_while_it_is_open(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    kept = bytes(inn.open(path).resample("small").to_bytes())
    for change in (
        lambda: path.write_bytes(b""),
        lambda: os.truncate(path, 100),
        lambda: os.utime(path, (0, 0)),
    ):
        bundle = inn.open(tiny.write(path))
        list(bundle.verify())
        change()
        with pytest.raises(inn.BundleError, match=r"a.inn: the file has changed since it was opened"):
            bundle.resample("small").to_bytes()
    bundle = inn.open(tiny.write(path))
    os.replace(tiny.write(tmp_path / "b.inn", {**tiny.manifest(), "name": "other"}), path)
    assert bytes(bundle.resample("small").to_bytes()) == kept
    path.unlink()
    assert bytes(bundle.resample("small").to_bytes()) == kept
    with pytest.raises(inn.UsageError, match="No such file"):
        bundle.file_digest  # noqa: B018 - a property


@pytest.mark.parametrize("way", ["another name", "a link", "a moved folder"])
def test_a_file_truncated_behind_another_name(tmp_path: Path, way: str) -> None:
    """Reading a mapping of it would end this process by SIGBUS."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path, other = tiny.write(folder / "a.inn"), folder / "b.inn"
    if way == "a link":
        os.link(path, other)
    bundle = inn.open(path)
    if way == "another name":
        path.rename(other)
    elif way == "a link":
        os.replace(tiny.write(folder / "c.inn"), path)
    else:
        other = folder.rename(tmp_path / "moved") / "a.inn"
    os.truncate(other, 100)
    with pytest.raises(inn.BundleError, match=r"a.inn: the file has changed since it was opened"):
        bundle.resample("small").to_bytes()


def test_a_file_truncated_just_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the check of its state."""
    read = os.preadv
    path = tiny.write(tmp_path / "a.inn")
    bundle = inn.open(path)

    def truncate_and_read(*arguments: Any) -> int:
        os.truncate(path, 100)
        return read(*arguments)

    monkeypatch.setattr("os.preadv", truncate_and_read)
    with pytest.raises(inn.BundleError, match=r"a.inn: the file has changed since it was opened"):
        bundle.resample("small").to_bytes()


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    bundle = inn.open(tiny.write(tmp_path / "a.inn"))
    monkeypatch.setattr("os.preadv", fail)
    for read in (lambda: bundle.resample("small").to_bytes(), lambda: inn.open(tmp_path / "a.inn")):
        with pytest.raises(inn.UsageError, match=r"a.inn: Input/output error"):
            read()


def test_reads_that_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.preadv
    path = tiny.write(tmp_path / "a.inn")
    kept = bytes(inn.open(path).resample("small").to_bytes())
    monkeypatch.setattr("os.preadv", lambda file, targets, offset: read(file, [targets[0][:7]], offset))
    assert bytes(inn.open(path).resample("small").to_bytes()) == kept


def test_more_values_than_are_read(tmp_path: Path) -> None:
    for text in ("[" + "[]," * (1 << 20) + "[]]", '{"a": [' + "1," * (1 << 20) + "1]}"):
        (tmp_path / "a.inn").write_bytes(struct.pack("<Q", len(text)) + text.encode())
        with pytest.raises(inn.BundleError, match="more than 1048576 values"):
            inn.open(tmp_path / "a.inn")


def test_damaged_values_are_found_at_first_use(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "a.inn")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    bundle = inn.open(path)
    with pytest.raises(inn.BundleError, match="is damaged"):
        list(bundle.verify())


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    values = tiny.tensors()
    values["weight/w1"][0, 0, 0, 0] = np.inf
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    with pytest.raises(inn.BundleError, match=r"weight/w1.*not finite"):
        bundle.resample("small").to_bytes()


@pytest.mark.parametrize("block_bytes", [1, 200, 1 << 18])
def test_rows_that_a_size_does_not_need_are_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr("inn_runtime.format.container.BLOCK_BYTES", block_bytes)
    values = tiny.tensors()
    bundle = inn.open(tiny.write(tmp_path / "a.inn", values=values))
    np.testing.assert_array_equal(bundle.tensor("weight/w0"), values["weight/w0"].astype(np.float32))
    for bad, message in ((np.float16(np.nan), "not finite"), (np.float16(7), "damaged")):
        document = tiny.manifest()
        document["digests"] = {k: tiny.digest(v) for k, v in values.items()}
        changed = {**values, "weight/w0": values["weight/w0"].copy()}
        changed["weight/w0"][-1, -1, -1, -1] = bad
        if message == "not finite":
            document["digests"]["weight/w0"] = tiny.digest(changed["weight/w0"])
        bundle = inn.open(tiny.write(tmp_path / "b.inn", document, changed))
        for _ in range(2):  # also when it is used again
            with pytest.raises(inn.BundleError, match=message):
                bundle.resample("small").to_bytes()


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = tiny.write(tmp_path / "a.inn").read_bytes()
    short = tmp_path / "short.inn"
    for length in range(0, len(content), 97):
        short.write_bytes(content[:length])
        with pytest.raises(inn.BundleError):
            inn.open(short)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 1 << 16), value=st.integers(0, 255))
def test_any_byte_changed_never_crashes(tmp_path: Path, position: int, value: int) -> None:
    path = tiny.write(tmp_path / "a.inn")
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    try:
        bundle = inn.open(path)
        list(bundle.verify())
        for preset in bundle.manifest.presets:
            bundle.resample(preset).to_bytes()
    except inn.InnError as error:
        check_message(error)
