#!/usr/bin/env bash
# Prepares what build.sh needs: Debian packages (installed as root, else named) and, in the cache, two things that
# Debian has as source alone: the dx compiler, and stand-ins for Android's classes, API 29. Quick when all is there.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
fail() { echo "setup: $*" >&2; exit 1; }

packages=()
need() { [ -e "$1" ] || packages+=("${@:2}"); }
need /usr/bin/javac openjdk-17-jdk-headless
need /usr/bin/aapt aapt
need /usr/bin/zipalign zipalign
need /usr/bin/apksigner apksigner
need /usr/bin/cmake cmake make
need /usr/bin/aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
need /usr/share/android-framework-res/framework-res.apk android-framework-res
need /usr/include/nlohmann/json.hpp nlohmann-json3-dev
need /usr/include/flatbuffers/flatbuffers.h libflatbuffers-dev
need /usr/include/eigen3 libeigen3-dev
if [ "${#packages[@]}" -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "install first, as root: apt-get install ${packages[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

cache="${XDG_CACHE_HOME:-$HOME/.cache}/innlite/android-tools"
stamp="$(cat "$here/setup.sh" "$here/android_stubs.py" "$here/android_classes.txt" | sha256sum)"
[ "$(cat "$cache/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
# shellcheck source=apt.sh
source "$here/apt.sh"
echo "fetching the sources of dx and of Android's API list (120 MB, once)" >&2
private_apt "$work"
"${apt[@]}" --download-only source android-platform-tools android-platform-frameworks-base

mkdir dx dx-classes stubs stub-classes
tar xf android-platform-tools_*.orig.tar.gz -C dx --strip-components=1 --wildcards '*/dalvik/dx/src/*'
find dx -name '*.java' >dx.list
javac -nowarn -Xlint:none --release 8 -d dx-classes @dx.list 2>/dev/null
jar cfe dx.jar com.android.dx.command.Main -C dx-classes .
tar xf android-platform-frameworks-base_*.orig.tar.xz api/current.txt
python3 "$here/android_stubs.py" api/current.txt "$here/android_classes.txt" stubs
find stubs -name '*.java' >stubs.list
javac -nowarn -Xlint:none --release 8 -d stub-classes @stubs.list
jar cf android-stubs.jar -C stub-classes .
mkdir -p "$cache"
cp dx.jar android-stubs.jar "$cache"
echo "$stamp" >"$cache/stamp"
