"""Finding, fetching and compiling: no network, no engine."""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import shutil
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from inn_runtime.engine import build, library
from inn_runtime.engine.library import Library, Wheel
from inn_runtime.errors import EngineError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, on a machine without MindSpore Lite."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(library.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(library, "_installed_library", lambda: None)
    return tmp_path / "cache" / "innlite"


def make_library(folder: Path, version: str = "2.0.0") -> Path:
    for name in (*library.REQUIRED_FILES, "lib/libmindspore_glog.so.0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "version.py").write_text(f"__version__ = '{version}'\n")
    return folder


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of pip: a small wheel with the right digest. The list names the downloads made."""
    content = make_library(tmp_path / "wheel" / "mindspore_lite")
    (content / "lib" / "libtensorrt_plugin_python.so").write_bytes(b"not needed")
    source = tmp_path / "small.whl"
    with zipfile.ZipFile(source, "w") as archive:
        for path in sorted(content.rglob("*")):
            archive.write(path, path.relative_to(content.parent))
    downloads: list[str] = []

    def download(wheel: Wheel, folder: Path) -> Path:
        downloads.append(wheel.platform_tag)
        return Path(shutil.copy(source, folder))

    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    monkeypatch.setattr(library, "_download", download)
    monkeypatch.setattr(library, "WHEELS", {library.machine(): Wheel("small", digest, 0)})
    return downloads


# Where it is looked for


@pytest.mark.parametrize("inside", ["", "mindspore_lite"])
def test_the_users_folder_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, inside: str
) -> None:
    make_library(tmp_path / "mine" / inside, version="2.3.1")
    monkeypatch.setattr(library, "_installed_library", lambda: pytest.fail("looked further"))
    monkeypatch.setenv(library.ENVIRONMENT_VARIABLE, str(tmp_path / "mine"))
    assert library.find_library() == Library(tmp_path / "mine" / inside, "2.3.1")


def test_a_wrong_users_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv(library.ENVIRONMENT_VARIABLE, str(tmp_path))
    with pytest.raises(EngineError, match=r"expected a folder with include/api/model\.h.*found /"):
        library.find_library()


def test_the_installed_package_is_found_but_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_library(tmp_path / "mindspore_lite")
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(library.ENVIRONMENT_VARIABLE, raising=False)
    importlib.invalidate_caches()
    assert library.find_library().folder == folder


def test_another_machines_library_comes_from_the_cache_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv(library.ENVIRONMENT_VARIABLE, str(make_library(tmp_path / "mine")))
    assert library.find_local_library("aarch64") is None
    folder = make_library(cache / "mindspore-lite-2.0.0-aarch64" / "mindspore_lite")
    assert library.find_library("aarch64") == Library(folder, "2.0.0")
    assert build.compiled_name(Library(folder, "2.0.0"), "aarch64") == "inn_engine-2.0.0-aarch64.so"
    assert library.find_library().folder == tmp_path / "mine"
    with pytest.raises(EngineError, match="not riscv64"):
        library.find_library("riscv64")


def test_libraries_load_after_what_they_need(tmp_path: Path) -> None:
    found = Library(make_library(tmp_path), "2.0.0")
    assert [path.name for path in found.load_order()] == [
        "libmindspore_glog.so.0",
        library.MAIN_LIBRARY,
        library.PLUGIN,
    ]


@pytest.mark.parametrize(
    ("machine", "c_library", "system"),
    [("armv7l", "glibc", "linux"), ("x86_64", "", "linux"), ("aarch64", "", "darwin")],
)
def test_unsupported_machines_are_told_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, machine: str, c_library: str, system: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: (c_library, ""))
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(
        EngineError, match=f"needs 64-bit Linux with glibc on x86_64 or aarch64, found .*{machine}"
    ):
        library.find_library()


# Fetching


def test_fetches_once_and_keeps_only_what_is_needed(cache: Path, downloaded: list[str]) -> None:
    assert library.find_local_library() is None
    found = library.find_library()
    assert library.find_library() == found
    assert downloaded == ["small"]
    assert (found.version, found.folder.parents[1]) == ("2.0.0", cache)
    assert not (found.lib_folder / "libtensorrt_plugin_python.so").exists()
    assert [path.name for path in cache.iterdir()] == [found.folder.parent.name]


def test_an_incomplete_cache_is_fetched_again(cache: Path, downloaded: list[str]) -> None:
    found = library.find_library()
    (found.lib_folder / library.PLUGIN).unlink()
    assert library.find_library() == found
    assert downloaded == ["small", "small"]


def test_processes_may_fetch_at_the_same_time(
    cache: Path, downloaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier, download = threading.Barrier(2, timeout=10), library._download

    def download_together(wheel: Wheel, folder: Path) -> Path:
        barrier.wait()
        return download(wheel, folder)

    monkeypatch.setattr(library, "_download", download_together)
    found: list[Library] = []
    threads = [threading.Thread(target=lambda: found.append(library.find_library())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert len(list(cache.iterdir())) == 1


def test_a_corrupt_download_is_refused_before_it_is_unpacked(
    cache: Path, downloaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "WHEELS", {library.machine(): Wheel("small", "0" * 64, 0)})
    with pytest.raises(EngineError, match=f"small.whl: expected sha256 {'0' * 64}, found [0-9a-f]{{64}}"):
        library.find_library()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("reason", ["No module named pip", "ERROR: No matching distribution found"])
def test_without_pip_or_network_one_line_says_what_to_do(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    failing = tmp_path / "python"
    failing.write_text(f"#!/bin/sh\necho 'ERROR: first' >&2\necho '{reason}' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(EngineError) as caught:
        library.find_library()
    assert f"({reason})" in str(caught.value)
    assert f"set {library.ENVIRONMENT_VARIABLE}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_an_error(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EngineError, match="set XDG_CACHE_HOME"):
        library.find_library()


def test_pinned_wheels_cover_both_machines() -> None:
    assert sorted(library.WHEELS) == ["aarch64", "x86_64"]
    assert library.WHEELS["x86_64"].platform_tag == "manylinux1_x86_64"  # any other tag gives aarch64


# Compiling


def test_without_a_compiler_one_line_says_what_to_install(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"no C\+\+ compiler \(g\+\+ or c\+\+\).*apt install g\+\+"):
        build.cached(Library(tmp_path, "2.0.0"))


def test_a_compiler_that_the_user_names_must_exist(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "ccache no-such-g++" if shutil.which("ccache") else "no-such-g++")
    with pytest.raises(EngineError, match="no-such-g"):
        build.cached(Library(tmp_path, "2.0.0"))


def test_a_failed_compilation_quotes_the_first_error_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "failing-g++"
    compiler.write_text("#!/bin/sh\necho 'model.h:1: error: what is this' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(EngineError, match="error: what is this"):
        build.cached(Library(tmp_path, "2.0.0"))
    assert list(cache.iterdir()) == []


def test_compiles_once(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text(
        '#!/bin/sh\necho run >> "$LOG"\nwhile [ "$1" != -o ]; do shift; done\necho made > "$2"\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    first = build.cached(Library(tmp_path, "2.0.0"))
    assert build.cached(Library(tmp_path, "2.0.0")) == first
    assert first.read_text() == "made\n"
    assert (tmp_path / "log").read_text() == "run\n"
    assert build.cached(Library(tmp_path, "2.1.0")) != first


@pytest.mark.parametrize("damage", [b"", b"mad", b"made?", b"junk" * 1000])
def test_a_damaged_interface_is_compiled_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho made > "$2"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    interface = build.cached(Library(tmp_path, "2.0.0"))
    for file in (interface, interface.with_name(f"{interface.name}.sha256")):
        file.write_bytes(damage)
        assert build.cached(Library(tmp_path, "2.0.0")).read_text() == "made\n"
        file.unlink()
        assert build.cached(Library(tmp_path, "2.0.0")).read_text() == "made\n"


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/paths/are/ignored")
    assert library.cache_folder() == Path(os.path.expanduser("~/.cache/innlite"))
