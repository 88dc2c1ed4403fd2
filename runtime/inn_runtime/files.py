"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .errors import InnError, UsageError


def write_atomically(path: str | os.PathLike[str], content: bytes | bytearray | memoryview) -> None:
    """Write to a temporary file beside ``path``, then rename; a failure leaves nothing behind.

    Raises
    ------
    UsageError : the folder does not exist or may not be written to
    InnError : the disk is full or failed (exit code 1)
    """
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{target}: expected a file name, found a folder")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UsageError(f"{target}: cannot write there: {error.strerror}") from None
    except OSError as error:
        raise InnError(f"{target}: cannot write: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        raise InnError(f"{target}: cannot write {len(content)} bytes: {error.strerror}") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
