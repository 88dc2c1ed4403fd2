"""Compiling the C interface to MindSpore Lite (``native/inn_engine.cc``).

A wheel may carry it compiled; otherwise it is compiled once, into the cache. Standard library only, and
nothing here loads a library: ``setup.py`` uses this module too.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

from ..errors import EngineError
from .library import MAIN_LIBRARY, Library, cache_folder, cache_workspace, machine

_SOURCES = ("inn_engine.h", "inn_engine.cc")

# The engine was compiled with the old string ABI; its interface for callbacks passes strings. No rpath:
# whoever loads the result has loaded MindSpore Lite before.
_FLAGS = (
    *("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-D_GLIBCXX_USE_CXX11_ABI=0"),
    *("-shared", "-s", "-Wl,--allow-shlib-undefined"),
)


def compiled_name(library: Library, architecture: str | None = None) -> str:
    """File name of the compiled interface; it fits one version of MindSpore Lite and one machine."""
    return f"inn_engine-{library.version}-{architecture or machine()}.so"


def packaged(library: Library) -> Path | None:
    """The compiled interface that was installed with this package, or None."""
    path = Path(__file__).parent / compiled_name(library)
    return path if path.is_file() else None


def cached(library: Library) -> Path:
    """The compiled interface in the cache; compiled now where it is missing or damaged.

    Raises
    ------
    EngineError : there is no compiler, or it fails
    """
    key = hashlib.sha256(repr(_FLAGS).encode())
    for name in _SOURCES:
        key.update((_source_folder() / name).read_bytes())
    path = cache_folder() / f"{key.hexdigest()[:16]}-{compiled_name(library)}"
    known = path.with_name(path.name + ".sha256")
    if not _is_whole(path, known):
        with cache_workspace() as workspace:
            compile_interface(library, workspace / path.name)
            (workspace / known.name).write_text(_digest(workspace / path.name))
            (workspace / path.name).replace(path)
            (workspace / known.name).replace(known)
    return path


def _is_whole(path: Path, known: Path) -> bool:
    """Whether a compiled interface is there, with the digest that it was written with."""
    try:
        return path.is_file() and known.is_file() and known.read_text() == _digest(path)
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compile_interface(library: Library, output: Path, architecture: str | None = None) -> None:
    """Compile the interface for one MindSpore Lite with ``$CXX``, ``g++`` or ``c++``.

    For another machine's ``architecture`` the cross compiler is ``$CXX`` or ``ARCHITECTURE-linux-gnu-g++``.

    Raises
    ------
    EngineError : there is no compiler, or it fails
    """
    sources = _source_folder()
    foreign = architecture not in (None, platform.machine())
    compiler = _compiler([f"{architecture}-linux-gnu-g++"] if foreign else ["g++", "c++"])
    command = [*compiler, *_FLAGS, f"-I{sources}", "-isystem", str(library.folder)]
    command += [str(sources / "inn_engine.cc"), "-o", str(output)]
    command += [f"-L{library.lib_folder}", f"-l:{MAIN_LIBRARY}"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error" in line]
        reason = lines[0] if lines else f"it ended with code {result.returncode}"
        raise EngineError(f"{command[0]} cannot compile the engine's C interface: {reason}")


def _source_folder() -> Path:
    """``inn_runtime/native`` where installed, ``runtime/native`` in the source tree."""
    package = Path(__file__).parents[1]
    for folder in (package / "native", package.parent / "native"):
        if all((folder / name).is_file() for name in _SOURCES):
            return folder
    raise EngineError(f"the sources of the engine's C interface are missing beside {package}; reinstall")


def _compiler(names: list[str]) -> list[str]:
    given = shlex.split(os.environ.get("CXX", ""))
    for command in [given] if given else [[name] for name in names]:
        if shutil.which(command[0]):
            return command
    raise EngineError(
        f"no C++ compiler ({given[0] if given else ' or '.join(names)}) to compile the engine's C interface "
        "with: install one (Debian: apt install g++), or a wheel of this package that was built where there "
        "is one"
    )
