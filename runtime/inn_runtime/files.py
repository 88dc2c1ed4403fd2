"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import InnError, UsageError


def write_atomically(path: str | os.PathLike[str], *contents: bytes | bytearray | memoryview) -> None:
    """Write contents, one after another, to a temporary file beside ``path``, then rename.

    A failure leaves nothing behind.

    Symbolic links are followed. What is no regular file (``/dev/stdout``, a pipe) is written to directly:
    renaming would put a file in its place.

    Raises
    ------
    UsageError : the folder does not exist or may not be written to
    InnError : the disk is full or failed (exit code 1)
    """
    kind = _kind(path)
    if kind is not None and stat.S_ISDIR(kind):
        raise UsageError(f"{os.fspath(path)}: expected a file name, found a folder")
    if kind is not None and not stat.S_ISREG(kind):
        _write(path, Path(path), "wb", contents)
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".inn-{secrets.token_hex(8)}")
    try:
        _write(path, temporary, "xb", contents)
        try:
            os.replace(temporary, target)
        except OSError as error:
            raise InnError(f"{os.fspath(path)}: cannot write: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):  # it is not there: renamed, or never made
            temporary.unlink()


def check_writable(path: str | os.PathLike[str], room: int = 1 << 20) -> None:
    """Whether `write_atomically` could write ``room`` bytes now: for what takes long before it writes.

    Raises
    ------
    UsageError : a folder, or a place where nothing may be written
    InnError : the disk is full or failed
    """
    kind = _kind(path)
    if kind is not None and stat.S_ISDIR(kind):
        raise UsageError(f"{os.fspath(path)}: expected a file name, found a folder")
    if kind is not None and not stat.S_ISREG(kind):
        return
    trial = Path(os.path.realpath(path)).with_name(f".inn-{secrets.token_hex(8)}")
    try:
        _write(path, trial, "xb", [bytes(room)])
    finally:
        with contextlib.suppress(OSError):
            trial.unlink()


def refuse_overwriting(output: str | os.PathLike[str], inputs: Iterable[object]) -> None:
    """UsageError where ``output`` is a file that is read, by whatever name, or lies in a folder that is.

    Parameters
    ----------
    inputs : what is no path of something that exists is passed over
    """
    if not os.path.isfile(output):
        return
    for given in inputs:
        if isinstance(given, (str, os.PathLike)) and os.path.exists(given):
            holder = os.path.realpath(given)
            inside = os.path.isdir(holder) and os.path.realpath(output).startswith(os.path.join(holder, ""))
            if inside or os.path.samefile(output, given):
                raise UsageError(f"{os.fspath(output)}: is read as an input: expected another file to write")


def _kind(path: str | os.PathLike[str]) -> int | None:
    """The mode of what ``path`` names, None where there is nothing yet."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return None
    except ValueError as error:  # a zero character
        raise UsageError(f"{os.fspath(path)!r}: expected a file name: {error}") from None


def _write(
    shown: str | os.PathLike[str],
    file: Path,
    mode: str,
    contents: Sequence[bytes | bytearray | memoryview],
) -> None:
    """Write ``file``; messages show the name that the caller knows."""
    name = os.fspath(shown)
    try:
        stream = open(file, mode)  # noqa: SIM115 - a failure to open is another error than one to write
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UsageError(f"{name}: cannot write there: {error.strerror}") from None
    except OSError as error:
        raise InnError(f"{name}: cannot write: {error.strerror}") from None
    try:
        with stream:
            for content in contents:
                stream.write(content)
    except BrokenPipeError:
        raise
    except OSError as error:
        count = sum(map(len, contents))
        raise InnError(f"{name}: cannot write {count} bytes: {error.strerror}") from None
