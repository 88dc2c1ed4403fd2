#!/usr/bin/env bash
# Prepares .venv with everything that the demo and the tests need. Safe to run again; quick when nothing changed.
# With --tests, as root, also Debian packages without which some tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

# Debian packages that are missing.
packages=()
command -v "${CXX:-g++}" >/dev/null || packages+=(g++)
python="${PYTHON:-python3}"
command -v "$python" >/dev/null || packages+=(python3 python3-venv)
if command -v "$python" >/dev/null && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  packages+=(python3-venv)
fi
[ -d "${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}" ] || packages+=(dataset-fashion-mnist)
if [ "${1:-}" = --tests ] && [ "$(id -u)" = 0 ]; then
  command -v cmake >/dev/null || packages+=(cmake make)
  command -v aarch64-linux-gnu-g++ >/dev/null || packages+=(g++-aarch64-linux-gnu)
  command -v qemu-aarch64-static >/dev/null || packages+=(qemu-user-static)
  [ -e /usr/include/nlohmann/json.hpp ] || packages+=(nlohmann-json3-dev)
  [ -e /usr/include/flatbuffers/flatbuffers.h ] || packages+=(libflatbuffers-dev)
  [ -e /usr/include/eigen3 ] || packages+=(libeigen3-dev)
  command -v chromium >/dev/null || packages+=(chromium fonts-dejavu-core)
  # The Android app: its classes on the JVM, the APK, and Android's runtime.
  [ -e /usr/share/java/junit4.jar ] || packages+=(junit4)
  command -v javac >/dev/null || packages+=(openjdk-17-jdk-headless)
  [ -e /usr/share/android-framework-res ] || packages+=(android-framework-res)
  for name in aapt zipalign apksigner ecj unzip; do command -v $name >/dev/null || packages+=($name); done
  for name in libart libbacktrace libnativeloader libnativebridge; do
    [ -e /usr/share/doc/android-$name ] || packages+=(android-$name)
  done
  [ -e /usr/lib/p7zip ] || packages+=(p7zip-full)
fi
if [ "${#packages[@]}" -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "install first, as root: apt-get install ${packages[*]}"
  command -v apt-get >/dev/null || fail "missing: ${packages[*]} (there is no apt-get here)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

"$python" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' ||
  fail "MindSpore needs Python 3.9 to 3.12, found $("$python" --version); set PYTHON to another"

# Install again only when the packaging changed.
stamp="$("$python" --version) $(cat pyproject.toml setup.py | sha256sum)"
if [ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ]; then
  "$python" -m venv .venv
  .venv/bin/python -m pip install -q --upgrade pip
  .venv/bin/python -m pip install -q -e '.[dev]'
  echo "$stamp" >.venv/stamp
fi

# Fetch MindSpore Lite and compile the interface to it now (cached), so that nothing later needs the network.
.venv/bin/python -c 'from inn_runtime.engine import load_engine; load_engine("native")'
if [ "${1:-}" = --tests ] && command -v aarch64-linux-gnu-g++ >/dev/null; then
  .venv/bin/python -c 'from inn_runtime.engine.library import find_library; find_library("aarch64")'
fi
