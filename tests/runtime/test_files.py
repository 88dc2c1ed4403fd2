"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import inn_runtime as inn
import pytest
from inn_runtime.files import refuse_overwriting, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"abc", bytearray(b"abc"), memoryview(bytearray(b"xabc"))[1:]])
def test_writes_any_buffer_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    write_atomically(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == bytes(content)
    assert names(tmp_path) == ["a"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    script = (
        "import os, sys; from inn_runtime.files import write_atomically\n"
        "os.umask(0o027); write_atomically(sys.argv[1], b'')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_replaces_a_file_and_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/a")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "folder" / "a").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "folder") == ["a"]


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_atomically(tmp_path / "pipe", b"content")
    reader.join()
    assert read == [b"content"]
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["pipe"]


def test_a_device_stays_a_device() -> None:
    write_atomically("/dev/null", b"content")
    assert Path("/dev/null").is_char_device()


def test_a_full_device_is_no_usage_error() -> None:
    with pytest.raises(
        inn.InnError, match="/dev/full: cannot write 7 bytes: No space left on device"
    ) as caught:
        write_atomically("/dev/full", b"content")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/a", "cannot write there: No such file or directory"),
        ("file/a", "cannot write there: Not a directory"),
        ("", "expected a file name, found a folder"),
        ("a\0b", "expected a file name: embedded null byte"),
    ],
)
def test_places_that_cannot_be_written_to(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(inn.UsageError, match=message):
        write_atomically(f"{tmp_path}/{path}", b"content")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(inn.InnError, match=os.strerror(code)) as caught:
        write_atomically(tmp_path / "a", b"new")
    assert caught.value.exit_code == 1
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_file_size_limit_leaves_nothing(tmp_path: Path) -> None:
    # A limit makes the kernel itself fail a write halfway, as a full disk does.
    script = (
        "import resource, signal, sys\n"
        "from inn_runtime import InnError\n"
        "from inn_runtime.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    write_atomically(sys.argv[1], bytes(300_000))\n"
        "except InnError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == f"{tmp_path / 'a'}: cannot write 300000 bytes: File too large\n"
    assert names(tmp_path) == []


def test_what_is_read_is_not_overwritten(tmp_path: Path) -> None:
    model, other, folder = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    model.write_bytes(b"model")
    folder.mkdir()
    (folder / "picture").write_bytes(b"")
    refuse_overwriting(other, [model, folder])
    (tmp_path / "link").symlink_to(model)
    os.link(model, other)
    for output in (model, other, tmp_path / "link", f"{tmp_path}/c/../a", folder / "picture"):
        with pytest.raises(inn.UsageError, match="is read as an input: expected another file to write"):
            refuse_overwriting(output, [None, 3, "nowhere", folder, model])
    refuse_overwriting(model, [{"x": 1}, folder])
    refuse_overwriting(folder / "new", [folder])
    refuse_overwriting("/dev/null", ["/dev/null"])
