#!/usr/bin/env bash
# Runs `inn`, the Python runtime, in an arm64 Debian emulated by qemu:
#
#   device_demo/arm/emulate_python.sh run model.inn --size small --input x.npy
#
# The first run makes out/root-aarch64 (0.2 GB): Debian's Python, this package's wheel with its cross-compiled
# interface to MindSpore Lite, and the wheels it needs. Remove the folder to have it made again. Files are found
# under the current folder and under /tmp.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
system="$root/out/root-aarch64"
python="${PYTHON:-$root/.venv/bin/python}"

packages=()
for package in proot mmdebstrap; do command -v "$package" >/dev/null || packages+=("$package"); done
command -v qemu-aarch64-static >/dev/null || packages+=(qemu-user-static)
command -v aarch64-linux-gnu-g++ >/dev/null || packages+=(g++-aarch64-linux-gnu)
if [ "${#packages[@]}" -gt 0 ]; then
  [ "$(id -u)" = 0 ] || { echo "emulate: install first, as root: apt-get install ${packages[*]}" >&2; exit 1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

engine=$("$python" -c 'from inn_runtime.engine.library import find_library; print(find_library("aarch64").folder)')
if [ ! -d "$system" ]; then
  mkdir -p "$root/out"
  new=$(mktemp -d "$root/out/.root-XXXXXX")
  trap 'rm -rf "$new"' EXIT
  # Extracted, not configured: nothing of it has to run for that.
  mmdebstrap --quiet --arch=arm64 --variant=extract --skip=check/qemu --include=python3,libstdc++6 \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr bookworm "$new/root" >&2
  (cd "$root" && _PYTHON_HOST_PLATFORM=linux-aarch64 "$python" -m pip wheel --quiet --no-deps -w "$new" .)
  "$python" -m pip install --quiet --target "$new/root/opt/inn" --only-binary=:all: --implementation cp \
    --python-version "$(basename "$new"/root/usr/bin/python3.* | grep -o '3\.[0-9]*' | head -1)" \
    --platform manylinux2014_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
    --platform linux_aarch64 "$new"/innlite-*-linux_aarch64.whl
  mkdir -p "$new/root/engine" "$new/root/proc"
  mv "$new/root" "$system"
fi
exec env -i PATH=/usr/bin HOME=/tmp PYTHONPATH=/opt/inn INNLITE_MINDSPORE_LITE=/engine \
  proot -q qemu-aarch64-static -r "$system" -b /proc -b /dev -b /tmp -b "$engine:/engine" -b "$PWD" -w "$PWD" \
  /usr/bin/python3 -m inn_runtime.cli "$@"
