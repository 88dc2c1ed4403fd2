#!/usr/bin/env bash
# Builds a signed APK from Debian's packages alone, without Android Studio, SDK or NDK:
#
#   device_demo/android/build.sh MODEL.inn [--samples FOLDER] [--native FOLDER] [--output FILE.apk]
#
# MODEL.inn and the pictures of FOLDER are put inside. --native names a folder with arm64-v8a libraries from an
# NDK build (docs/guide/android.md); without it they are cross-compiled for Linux, which proves the build but does not
# load on a phone: the app then says so. Output: out/android/innlite.apk, what it was made of beside it.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
here="$root/device_demo/android"
fail() { echo "build: $*" >&2; exit 2; }

model="" samples="" native="" output="$root/out/android/innlite.apk"
while [ $# -gt 0 ]; do
  case "$1" in
    --samples | --native | --output)
      [ $# -gt 1 ] || fail "$1: expected a name after it"
      declare "${1#--}=$(realpath -m "$2")"
      shift 2
      ;;
    -*) fail "unknown option $1; see the head of this script" ;;
    *)
      [ -z "$model" ] || fail "expected one bundle, found also $1"
      model="$(realpath -m "$1")"
      shift
      ;;
  esac
done
[ -n "$model" ] || fail "name the bundle to put inside: build.sh MODEL.inn"
[ -f "$model" ] || fail "$model: no such file"
[ -z "$samples" ] || [ -d "$samples" ] || fail "$samples: no such folder"
[ -z "$native" ] || [ -f "$native/libinn_android.so" ] || fail "$native: expected libinn_android.so in it"
python="${PYTHON:-$root/.venv/bin/python}"
command -v "$python" >/dev/null || fail "run scripts/setup.sh first, or set PYTHON to a Python 3 with innlite"

"$here/tools/setup.sh"
tools="${XDG_CACHE_HOME:-$HOME/.cache}/innlite/android-tools"
framework=/usr/share/android-framework-res/framework-res.apk
work="$(dirname "$output")"
started=$SECONDS
mkdir -p "$work"
cd "$work"
rm -rf stage
mkdir -p stage/{gen,classes,assets,apk/lib/arm64-v8a}

if [ -n "$native" ]; then
  cp "$native"/*.so stage/apk/lib/arm64-v8a/
else
  engine="$("$python" -c 'from inn_runtime.engine.library import find_library
print(find_library("aarch64").folder)')"
  java_home="$(dirname "$(dirname "$(realpath "$(command -v javac)")")")"
  cmake -S "$here/jni" -B native-aarch64 -DCMAKE_TOOLCHAIN_FILE="$root/device_demo/arm/aarch64.cmake" \
    -DMINDSPORE_LITE="$engine" -DJNI="$java_home/include" >/dev/null
  cmake --build native-aarch64 --target inn_android inn_engine --parallel "$(nproc)" >/dev/null
  for library in libinn_android.so arm/libinn_engine.so; do
    aarch64-linux-gnu-strip -o "stage/apk/lib/arm64-v8a/$(basename "$library")" "native-aarch64/$library"
  done
fi

cp "$model" stage/assets/model.inn
if [ -n "$samples" ]; then
  mkdir stage/assets/samples
  find "$samples" -maxdepth 1 -type f \( -iname '*.png' -o -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.webp' \) \
    -exec cp {} stage/assets/samples/ \;
fi

resources=(-M "$here/app/src/main/AndroidManifest.xml" -S "$here/app/src/main/res" -I "$framework")
aapt package -f -m -J stage/gen "${resources[@]}"
# Java 8 without lambdas: dx knows no others.
javac -nowarn -Xlint:-options --release 8 -cp "$tools/android-stubs.jar" -d stage/classes \
  "$here"/app/src/main/java/org/innlite/demo/*.java $(find stage/gen -name '*.java')
java -jar "$tools/dx.jar" --dex --min-sdk-version=26 --output=stage/apk/classes.dex stage/classes
aapt package -f "${resources[@]}" -A stage/assets -F stage/unaligned.apk
(cd stage/apk && find . -type f -printf '%P\n' | sort | xargs aapt add ../unaligned.apk >/dev/null)
zipalign -f -p 4 stage/unaligned.apk stage/aligned.apk
if [ ! -f debug.keystore ]; then
  keytool -genkeypair -keystore debug.keystore -storepass android -keypass android -alias debug -keyalg RSA \
    -keysize 2048 -validity 10000 -dname CN=Debug >/dev/null 2>&1
fi
apksigner sign --ks debug.keystore --ks-pass pass:android --key-pass pass:android --out stage/signed.apk \
  stage/aligned.apk
apksigner verify stage/signed.apk
mv stage/signed.apk "$output"
echo "$output: $(du -b "$output" | cut -f1) bytes in $((SECONDS - started)) s"
