#!/usr/bin/env bash
# Runs the aarch64 build of inn-device on another machine, emulated by qemu, with the real aarch64 libraries:
#
#   device_demo/arm/emulate.sh run model.inn --size small --input x.npy
#
# It shows that the answers are right. How long it takes says nothing about a board.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
program="$root/out/device-aarch64/inn-device"

if ! command -v qemu-aarch64-static >/dev/null; then
  [ "$(id -u)" = 0 ] || { echo "emulate: install first, as root: apt-get install qemu-user-static" >&2; exit 1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user-static
fi
[ -x "$program" ] || "$root/device_demo/arm/build.sh" aarch64 >&2
exec qemu-aarch64-static -L /usr/aarch64-linux-gnu "$program" "$@"
