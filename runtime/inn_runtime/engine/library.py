"""Finding MindSpore Lite's libraries and headers; fetching them once where the machine has none.

Standard library only, and nothing here loads a library: ``setup.py`` uses this module too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError

VERSION = "2.0.0"
"""The version that is fetched: the only one on the Python package index."""

ENVIRONMENT_VARIABLE = "INNLITE_MINDSPORE_LITE"


@dataclass(frozen=True)
class Wheel:
    """A wheel of `VERSION`: the platform tag that makes pip choose it, and the digest of its bytes."""

    platform_tag: str
    sha256: str
    megabytes: int


# Any x86-64 tag but manylinux1 makes pip choose the aarch64 wheel, which is tagged "none-any".
WHEELS = {
    "x86_64": Wheel(
        "manylinux1_x86_64", "199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec", 169
    ),
    "aarch64": Wheel(
        "manylinux2014_aarch64", "9006b56a0285833802b4880f34cbce5f94111ef5ca4071d5df5c61e8c2a3a6f7", 56
    ),
}

MAIN_LIBRARY = "libmindspore-extendrt_python.so"
PLUGIN = "libmsplugin-ge-litert_python.so"

LOAD_ORDER = (
    "libmindspore_glog.so.0",
    "libopencv_core.so.4.5",
    "libopencv_imgproc.so.4.5",
    "libopencv_imgcodecs.so.4.5",
    "libmindspore_core.so",
    "libmslite_converter_plugin.so",
    "libmindspore_converter.so",
    "libdnnl.so.2",  # x86-64 only
    MAIN_LIBRARY,
    PLUGIN,  # runs .ms files; the main library opens it by itself, from its own folder
)
"""The least set of libraries, each after those it needs."""

REQUIRED_FILES = ("include/api/model.h", f"lib/{MAIN_LIBRARY}", f"lib/{PLUGIN}")


@dataclass(frozen=True)
class Library:
    """A folder ``mindspore_lite`` that has the headers and the libraries, and its version."""

    folder: Path
    version: str

    @property
    def lib_folder(self) -> Path:
        return self.folder / "lib"

    def load_order(self) -> list[Path]:
        """The shared libraries, each after those it needs."""
        return [path for path in (self.lib_folder / name for name in LOAD_ORDER) if path.is_file()]


def find_library(architecture: str | None = None) -> Library:
    """MindSpore Lite as given by the user, as installed, from the cache, or else fetched into the cache.

    Parameters
    ----------
    architecture : that of the machine it is to run on, a key of `WHEELS`; this machine's by default

    Raises
    ------
    EngineError : there is none for that machine, or it cannot be fetched
    """
    architecture = architecture or machine()
    return find_local_library(architecture) or _fetch(architecture)


def find_local_library(architecture: str | None = None) -> Library | None:
    """Like `find_library`, without the network; None where only fetching is left.

    What the user gives and what is installed is this machine's; for another, only the cache counts.

    Raises
    ------
    EngineError : the machine is not supported, or the folder that the user gives is not MindSpore Lite
    """
    if architecture not in (None, platform.machine()):
        if architecture not in WHEELS:
            raise EngineError(f"MindSpore Lite {VERSION} runs on {' or '.join(WHEELS)}, not {architecture}")
        return _inspect(_cached_folder(architecture))
    own, given = machine(), os.environ.get(ENVIRONMENT_VARIABLE)
    if given:
        library = _inspect(Path(given)) or _inspect(Path(given) / "mindspore_lite")
        if library is None:
            raise EngineError(
                f"{ENVIRONMENT_VARIABLE}: expected a folder with {', '.join(REQUIRED_FILES)}, found {given}"
            )
        return library
    return _installed_library() or _inspect(_cached_folder(own))


def machine() -> str:
    """``x86_64`` or ``aarch64``.

    Raises
    ------
    EngineError : MindSpore Lite has no package for this system
    """
    name = platform.machine()
    c_library = platform.libc_ver()[0]
    if sys.platform != "linux" or c_library != "glibc" or name not in WHEELS or sys.maxsize < 2**32:
        bits = 64 if sys.maxsize > 2**32 else 32
        raise EngineError(
            f"MindSpore Lite {VERSION} needs 64-bit Linux with glibc on {' or '.join(WHEELS)}, found "
            f"{bits}-bit {platform.system()} with {c_library or 'another C library'} on {name}"
        )
    return name


def cache_folder() -> Path:
    """Where this package keeps what it fetches and compiles."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()) / "innlite"


@contextmanager
def cache_workspace() -> Iterator[Path]:
    """A fresh folder inside the cache, for files that are renamed into place and for what is thrown away.

    Raises
    ------
    EngineError : the cache cannot be written to
    """
    root = cache_folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as folder:
            yield Path(folder)
    except OSError as error:
        raise EngineError(f"the cache {root}: {error.strerror or error}; set XDG_CACHE_HOME") from error


def _inspect(folder: Path) -> Library | None:
    """The library in a folder ``mindspore_lite``, or None where a file is missing."""
    folder = folder.absolute()
    if not all((folder / name).is_file() for name in REQUIRED_FILES):
        return None
    try:
        found = re.search(r"__version__ *= *['\"]([\w.+-]+)", (folder / "version.py").read_text())
    except OSError:
        found = None
    return Library(folder, found.group(1) if found else "unknown")


def _installed_library() -> Library | None:
    """The installed Python package ``mindspore_lite``, which is found but not imported."""
    try:
        spec = importlib.util.find_spec("mindspore_lite")
    except ValueError:  # a module of that name without a spec, put into sys.modules by hand
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        library = _inspect(Path(folder))
        if library is not None:
            return library
    return None


def _cached_folder(architecture: str) -> Path:
    return cache_folder() / f"mindspore-lite-{VERSION}-{architecture}" / "mindspore_lite"


def _fetch(architecture: str) -> Library:
    """Download, check and unpack a wheel into the cache. Two processes may do so at once."""
    wheel, target = WHEELS[architecture], _cached_folder(architecture)
    with cache_workspace() as workspace:
        _unpack(_check_digest(_download(wheel, workspace), wheel), workspace)
        try:
            _move_into_place(workspace / target.name, target)
        except OSError:
            if _inspect(target) is None:  # otherwise another process was faster
                raise
    library = _inspect(target)
    if library is None:
        raise EngineError(f"{target}: incomplete; remove this folder")
    return library


def _download(wheel: Wheel, folder: Path) -> Path:
    """Let pip download the wheel: it knows the user's index, proxy and certificates."""
    print(f"fetching MindSpore Lite {VERSION} ({wheel.megabytes} MB, once)", file=sys.stderr)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--no-cache-dir", "--no-deps", "--only-binary=:all:", "--python-version=3.7"]
    command += [f"--platform={wheel.platform_tag}", f"--dest={folder}", f"mindspore-lite=={VERSION}"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    files = sorted(folder.glob("*.whl"))
    if result.returncode != 0 or len(files) != 1:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"pip ended with code {result.returncode}"
        raise EngineError(
            f"MindSpore Lite {VERSION} cannot be downloaded with pip ({reason}); connect to a package index "
            f"once, or set {ENVIRONMENT_VARIABLE} to the unpacked wheel's folder"
        )
    return files[0]


def _check_digest(path: Path, wheel: Wheel) -> Path:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if digest.hexdigest() != wheel.sha256:
        raise EngineError(f"{path.name}: expected sha256 {wheel.sha256}, found {digest.hexdigest()}")
    return path


def _unpack(wheel: Path, folder: Path) -> None:
    """The headers and the least set of libraries: two fifths of what the wheel holds are never used."""
    wanted = {f"mindspore_lite/lib/{name}" for name in LOAD_ORDER} | {"mindspore_lite/version.py"}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(
            folder, [name for name in names if name in wanted or name.startswith("mindspore_lite/include/")]
        )


def _move_into_place(source: Path, target: Path) -> None:
    if target.exists() and _inspect(target) is None:
        shutil.rmtree(target)  # someone deleted a part of it
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
