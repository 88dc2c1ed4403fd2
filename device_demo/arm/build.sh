#!/usr/bin/env bash
# Builds `inn-device` and what it needs to run models:
#
#   device_demo/arm/build.sh [x86_64|aarch64] [FOLDER]
#
# The first is the machine it will run on (default: this one). FOLDER (default: out/device-MACHINE) then holds
# inn-device, libinn_engine.so and the least set of MindSpore Lite's libraries, to be copied to a board; the
# folder `build` inside is not needed there.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { echo "build: $*" >&2; exit 1; }

machine="${1:-$(uname -m)}"
folder="${2:-out/device-$machine}"
case "$machine" in
  x86_64 | aarch64) ;;
  *) fail "expected x86_64 or aarch64, found $machine" ;;
esac
native=$([ "$machine" = "$(uname -m)" ] && echo yes || echo no)

packages=()
command -v cmake >/dev/null || packages+=(cmake make)
if [ "$native" = yes ]; then command -v g++ >/dev/null || packages+=(g++); fi
if [ "$native" = no ]; then command -v "$machine-linux-gnu-g++" >/dev/null || packages+=("g++-${machine/_/-}-linux-gnu"); fi
[ -e /usr/include/nlohmann/json.hpp ] || packages+=(nlohmann-json3-dev)
[ -e /usr/include/flatbuffers/flatbuffers.h ] || packages+=(libflatbuffers-dev)
[ -e /usr/include/eigen3 ] || packages+=(libeigen3-dev)
if [ "${#packages[@]}" -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "install first, as root: apt-get install ${packages[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

python="${PYTHON:-.venv/bin/python}"
command -v "$python" >/dev/null || fail "run scripts/setup.sh first, or set PYTHON to one with innlite installed"
# The engine's folder and the least set of its libraries; fetched into the cache where this machine has none.
mapfile -t found < <("$python" -c 'import sys
from inn_runtime.engine.library import find_library
library = find_library(sys.argv[1])
print(library.folder, *library.load_order(), sep="\n")' "$machine")
[ "${#found[@]}" -gt 1 ] || fail "MindSpore Lite for $machine is missing"
engine="${found[0]}"

options=(-DMINDSPORE_LITE="$engine")
[ "$native" = yes ] || options+=(-DCMAKE_TOOLCHAIN_FILE="$PWD/device_demo/arm/$machine.cmake")
cmake -S device_demo/arm -B "$folder/build" "${options[@]}" >/dev/null
cmake --build "$folder/build" --parallel "$(nproc)" >/dev/null

mkdir -p "$folder/mindspore_lite/lib"
cp "$folder/build/inn-device" "$folder/build/libinn_engine.so" "$folder"
for file in "${found[@]:1}" "$engine/version.py"; do
  target="$folder/mindspore_lite/${file#"$engine/"}"
  [ -e "$target" ] || cp -l "$file" "$target" 2>/dev/null || cp "$file" "$target"
done
echo "$folder: inn-device $(du -k "$folder/inn-device" | cut -f1) KB, MindSpore Lite $(du -m -s "$folder/mindspore_lite" | cut -f1) MB"
