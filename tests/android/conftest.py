"""What the Android app's tests run: compiled classes and the native side.

Each is skipped, with a reason, where the packages to build it are missing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import picture_bundle
import pytest
from building import ANDROID, JUNIT, NEEDS_ANDROID, ROOT, SOURCES, must, need, run


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's classes that need no Android, and their tests, compiled as the app's are."""
    need("javac", "java")
    if not all(jar.exists() for jar in JUNIT):
        pytest.skip("needs JUnit (apt-get install junit4)")
    folder = tmp_path_factory.mktemp("classes")
    sources = [path for path in SOURCES.rglob("*.java") if path.stem not in NEEDS_ANDROID]
    classpath = ":".join(map(str, JUNIT))
    must(run("javac", "--release", 8, "-nowarn", "-Xlint:-options", "-cp", classpath, "-d", folder, *sources))
    return folder


@pytest.fixture(scope="session")
def native() -> Path:
    """Folder of the native side, compiled for this machine; kept, so that the next run is quick."""
    need("cmake", "g++", "javac")
    for header in ("nlohmann/json.hpp", "flatbuffers/flatbuffers.h", "eigen3"):
        if not Path("/usr/include", header).exists():
            pytest.skip(f"needs {header} (device_demo/android/tools/setup.sh)")
    from inn_runtime.engine.library import find_library

    folder = ROOT / "out" / "android-tests"
    java_home = Path(shutil.which("javac") or "").resolve().parent.parent
    must(
        run(
            *("cmake", "-S", ANDROID / "jni", "-B", folder),
            *(f"-DMINDSPORE_LITE={find_library().folder}", f"-DJNI={java_home / 'include'}"),
        )
    )
    must(run("cmake", "--build", folder, "--target", "inn_android", "inn_engine", "--parallel", 2))
    return folder


@pytest.fixture(scope="session")
def apk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The APK of a tiny bundle and one sample, from Debian's tools."""
    need("javac", "aapt", "zipalign", "apksigner", "cmake", "aarch64-linux-gnu-g++")
    folder = tmp_path_factory.mktemp("apk")
    samples = folder / "samples"
    samples.mkdir()
    (samples / "first.png").write_bytes(picture_bundle.png(1))
    (samples / "notes.txt").write_text("no picture")
    bundle = picture_bundle.write(folder / "tiny.inn")
    output = ROOT / "out" / "android-tests-apk" / "innlite.apk"  # compiled objects are kept
    must(run(ANDROID / "build.sh", bundle, "--samples", samples, "--output", output))
    return output
