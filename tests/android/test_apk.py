"""The APK from Debian's tools alone: its signature, its parts, what the build refuses."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import picture_bundle
from building import ANDROID, must, run


def test_it_is_signed(apk: Path) -> None:
    result = run("apksigner", "verify", "--verbose", apk)
    assert result.returncode == 0, result.stderr
    assert re.search(r"Verified using v2 scheme .*: true", result.stdout)


def test_it_is_an_app_for_arm64_phones(apk: Path) -> None:
    badging = must(run("aapt", "dump", "badging", apk))
    for line in (
        "package: name='org.innlite.demo'",
        "sdkVersion:'26'",
        "targetSdkVersion:'29'",
        "launchable-activity: name='org.innlite.demo.MainActivity'",
        "native-code: 'arm64-v8a'",
    ):
        assert line in badging
    assert "uses-permission" not in badging


def test_it_holds_the_bundle_the_samples_and_arm64_libraries(apk: Path, tmp_path: Path) -> None:
    expected = picture_bundle.write(tmp_path / "tiny.inn")
    with zipfile.ZipFile(apk) as archive:
        assert archive.read("assets/model.inn") == expected.read_bytes()
        assert archive.read("assets/samples/first.png") == picture_bundle.png(1)
        assert "assets/samples/notes.txt" not in archive.namelist()
        assert archive.read("classes.dex").startswith(b"dex\n")
        for name in ("libinn_android.so", "libinn_engine.so"):
            library = archive.read(f"lib/arm64-v8a/{name}")
            assert library[:4] == b"\x7fELF"
            assert int.from_bytes(library[18:20], "little") == 183  # AArch64


def test_a_changed_byte_breaks_the_signature(apk: Path, tmp_path: Path) -> None:
    content = bytearray(apk.read_bytes())
    content[content.index(b"assets/model.inn") + 40] ^= 1
    (tmp_path / "changed.apk").write_bytes(content)
    assert run("apksigner", "verify", tmp_path / "changed.apk").returncode != 0


def test_libraries_of_an_ndk_build_can_be_put_inside(apk: Path, tmp_path: Path) -> None:
    bundle = picture_bundle.write(tmp_path / "tiny.inn")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name in ("libinn_android.so", "libinn_engine.so", "libmindspore-lite.so"):
        (libraries / name).write_bytes(name.encode())
    output = tmp_path / "ndk" / "app.apk"
    must(run(ANDROID / "build.sh", bundle, "--native", libraries, "--output", output))
    with zipfile.ZipFile(output) as archive:
        assert archive.read("lib/arm64-v8a/libmindspore-lite.so") == b"libmindspore-lite.so"


def test_mistakes_are_refused_at_once(tmp_path: Path) -> None:
    bundle = picture_bundle.write(tmp_path / "tiny.inn")
    for arguments, message in (
        ([], "name the bundle to put inside"),
        ([tmp_path / "none.inn"], "none.inn: no such file"),
        ([bundle, "--samples", tmp_path / "none"], "none: no such folder"),
        ([bundle, "--native", tmp_path], "expected libinn_android.so in it"),
        ([bundle, "--output"], "--output: expected a name after it"),
        ([bundle, bundle], "expected one bundle, found also"),
        ([bundle, "--fast"], "unknown option --fast"),
    ):
        result = run(ANDROID / "build.sh", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr
