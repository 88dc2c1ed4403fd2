#!/usr/bin/env bash
# Runs an APK's own classes on Android's runtime (ART 11, Debian's build), natively on x86-64 and for arm64 under
# qemu, down to MindSpore Lite, and compares what they print with a plain JVM:
#
#   device_demo/android/art/run.sh [FILE.apk]
#
# The bundle and the arm64 libraries are those inside the APK (default: out/android/innlite.apk), which must be of
# the Linux build. ART interprets here, and arm64 is emulated: times mean nothing. The first run compiles Android's
# class library from Debian's source (a minute or two); it is kept in the cache.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
fail() { echo "run: $*" >&2; exit 2; }

apk="$(realpath -m "${1:-$root/out/android/innlite.apk}")"
[ -f "$apk" ] || fail "$apk: no such file; build it with device_demo/android/build.sh"
[ "$(uname -m)" = x86_64 ] || fail "expected an x86-64 machine, found $(uname -m)"
python="${PYTHON:-$root/.venv/bin/python}"
command -v "$python" >/dev/null || fail "run scripts/setup.sh first, or set PYTHON to a Python 3 with innlite"

packages=()
need() { [ -e "$1" ] || packages+=("${@:2}"); }
android=/usr/lib/x86_64-linux-gnu/android
need $android/libart.so.0 android-libart
need $android/libbacktrace.so.0 android-libbacktrace
need $android/libnativeloader.so.0 android-libnativeloader
need $android/libnativebridge.so.0 android-libnativebridge
need /usr/lib/p7zip p7zip-full
need /usr/lib/x86_64-linux-gnu/liblz4.so.1 liblz4-1
need /usr/bin/ecj ecj
need /usr/bin/unzip unzip
need /usr/bin/qemu-aarch64-static qemu-user-static
if [ "${#packages[@]}" -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "install first, as root: apt-get install ${packages[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi
"$here/../tools/setup.sh"
tools="${XDG_CACHE_HOME:-$HOME/.cache}/innlite/android-tools"
java_home="$(dirname "$(dirname "$(realpath "$(command -v javac)")")")"
jni=(-I"$java_home/include" -I"$java_home/include/linux")

# ---------------------------------------------------------------- Android's runtime, kept in the cache
cache="${XDG_CACHE_HOME:-$HOME/.cache}/innlite/android-art"
stamp="$(cat "$here"/{run.sh,launcher.c,natives.c,load.cc,empty.c,port_libcore.py,java/Console.java,java/FP16.java} |
  sha256sum)"
if [ "$(cat "$cache/stamp" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$cache"
  mkdir -p "$cache"/{arm64,x86_64,aarch64,system/data,system/art,system/etc}
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  # shellcheck source=../tools/apt.sh
  source "$here/../tools/apt.sh"
  private_apt "$work" arm64
  echo "fetching Android's class library and its runtime for arm64 (20 MB, once)" >&2
  "${apt[@]}" --download-only source android-platform-libcore
  "${apt[@]}" download android-libart android-libbacktrace android-libnativeloader android-libnativebridge \
    android-libziparchive android-libbase android-liblog liblz4-1 zlib1g liblzma5 p7zip-full
  for package in *.deb; do dpkg-deb -x "$package" "$cache/arm64"; done

  mkdir libcore classes none
  tar xf android-platform-libcore_*.orig.tar.gz -C libcore
  "$python" "$here/port_libcore.py" libcore
  find libcore/{ojluni,luni,libart,dalvik,json,xml}/src/main/java -name '*.java' ! -name 'package-info.java' >sources
  echo "compiling Android's class library" >&2
  # Parts need generated sources or other libraries; ecj compiles around them, and nothing here calls them.
  ecj -proc:none -source 1.8 -target 1.8 -proceedOnError -nowarn -bootclasspath none -encoding UTF-8 \
    -maxProblems 20000 -d classes @sources >ecj.log 2>&1 || [ -e classes/java/lang/Object.class ]
  java -Xmx3g -jar "$tools/dx.jar" --dex --core-library --min-sdk-version=26 --output="$cache/core.jar" classes

  for machine in x86_64 aarch64; do
    prefix="" libraries=$android lz4=/usr/lib/x86_64-linux-gnu/liblz4.so.1
    if [ $machine = aarch64 ]; then
      prefix=aarch64-linux-gnu-
      libraries="$cache/arm64/usr/lib/aarch64-linux-gnu/android"
      lz4="$(realpath "$cache/arm64/usr/lib/aarch64-linux-gnu/liblz4.so.1")"
    fi
    ${prefix}gcc -O1 -Wall -Wextra -fno-builtin -fPIC -c "${jni[@]}" "$here/natives.c" -o natives.o
    ${prefix}g++ -O1 -Wall -Wextra -fPIC -c "${jni[@]}" "$here/load.cc" -o load.o
    ${prefix}g++ -shared natives.o load.o -o "$cache/$machine/libopenjdk.so" -lm
    for name in icu_jni javacore; do
      ${prefix}gcc -shared -fPIC "${jni[@]}" "$here/empty.c" -o "$cache/$machine/lib$name.so"
    done
    ${prefix}gcc -O1 -Wall -Wextra -rdynamic "${jni[@]}" "$here/launcher.c" -o "$cache/$machine/launcher" \
      -Wl,--no-as-needed -L"$libraries" -l:libsigchain.so.0 -l:liblog.so.0 -l:libbase.so.0 \
      -l:libziparchive.so.0 -l:libbacktrace.so.0 -l:libnativebridge.so.0 -l:libnativeloader.so.0 "$lz4" -ldl \
      -Wl,--allow-shlib-undefined
  done
  echo "$stamp" >"$cache/stamp"
fi

# ---------------------------------------------------------------- the APK, a probe, the native side for x86-64
out="$root/out/android-art"
rm -rf "$out"
mkdir -p "$out"/{apk,app,probe}
cd "$out"
unzip -q "$apk" -d apk
bundle="$out/apk/assets/model.inn"
find "$here/../app/src/main/java" -name '*.java' ! -name MainActivity.java ! -name ChartView.java \
  ! -name Pictures.java ! -name BundleAsset.java >sources
javac -nowarn -Xlint:-options --release 8 -d app @sources
javac -nowarn -Xlint:-options --release 8 -cp app -d probe "$here/java/ArtProbe.java"
java -jar "$tools/dx.jar" --dex --min-sdk-version=26 --output=probe.jar probe
mapfile -t engines < <("$python" -c 'from inn_runtime.engine.library import find_library
for machine in ("x86_64", "aarch64"): print(find_library(machine).folder)')
native="$root/out/android-tests"
cmake -S "$here/../jni" -B "$native" -DMINDSPORE_LITE="${engines[0]}" -DJNI="$java_home/include" >/dev/null
cmake --build "$native" --target inn_android inn_engine --parallel "$(nproc)" >/dev/null

x86_64=(-Dinn.native="$native/libinn_android.so" -Dinn.engine="$native/arm/libinn_engine.so"
  -Dinn.mindspore="${engines[0]}/lib")
aarch64=(-Dinn.native="$out/apk/lib/arm64-v8a/libinn_android.so" -Dinn.engine="$out/apk/lib/arm64-v8a/libinn_engine.so"
  -Dinn.mindspore="${engines[1]}/lib")
java "${x86_64[@]}" -cp app:probe org.innlite.demo.ArtProbe "$bundle" >jvm.txt

boot="$cache/core.jar:$apk:$out/probe.jar"
options=(-Xbootclasspath:"$boot" -Xbootclasspath-locations:"$boot" -Xint -Xusejit:false -Xnoimage-dex2oat)
export ANDROID_ROOT="$cache/system" ANDROID_DATA="$cache/system/data" ANDROID_ART_ROOT="$cache/system/art"
export ANDROID_TZDATA_ROOT="$cache/system"
probe=(-- org/innlite/demo/ArtProbe "$bundle")
LD_LIBRARY_PATH="$cache/x86_64:$android:/usr/lib/p7zip" \
  "$cache/x86_64/launcher" "${options[@]}" "${x86_64[@]}" "${probe[@]}" >art-x86_64.txt 2>art-x86_64.log ||
  fail "ART on x86-64 failed: $out/art-x86_64.log"
arm="$cache/arm64/usr/lib"
path="$cache/aarch64:$arm/aarch64-linux-gnu/android:$arm/p7zip:$arm/aarch64-linux-gnu"
path="$path:$cache/arm64/lib/aarch64-linux-gnu:/usr/aarch64-linux-gnu/lib"
qemu-aarch64-static -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$path" "$cache/aarch64/launcher" "${options[@]}" \
  "${aarch64[@]}" "${probe[@]}" >art-aarch64.txt 2>art-aarch64.log ||
  fail "ART on arm64 failed: $out/art-aarch64.log"
"$python" "$here/compare.py" jvm.txt art-x86_64.txt art-aarch64.txt
