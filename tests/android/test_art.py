"""The APK's own classes on Android's runtime, x86-64 and arm64 under qemu, down to MindSpore Lite. Slow."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from building import ANDROID, must, need, run

PACKAGES = ("android-libart", "android-libbacktrace", "android-libnativeloader", "android-libnativebridge")


def test_the_apk_runs_on_art_as_on_the_jvm(apk: Path) -> None:
    need("ecj", "qemu-aarch64-static", "unzip", "dpkg-deb")
    missing = [p for p in PACKAGES if not Path("/usr/share/doc", p).exists()]
    if missing or platform.machine() != "x86_64":
        pytest.skip(f"needs x86-64 with {', '.join(PACKAGES)} (device_demo/android/art/run.sh)")
    lines = must(run(ANDROID / "art" / "run.sh", apk)).splitlines()
    assert lines[0] == "art-x86_64: 4 lines as on the JVM, scores within 0.0e+00 of their scale"
    assert lines[1].startswith("art-aarch64: 4 lines as on the JVM, scores within ")
