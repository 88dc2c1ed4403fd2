"""Fits Debian's class library (Android 10) to Debian's runtime (Android 11), which runs on no Android.

python port_libcore.py LIBCORE
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
DALVIK = "dalvik/src/main/java/dalvik/system"
LIBART = "libart/src/main/java"
OJLUNI = "ojluni/src/main/java"

# Members that the newer runtime expects, by file.
MEMBERS = {
    f"{LIBART}/java/lang/DexCache.java": ["private ClassLoader classLoader;"],
    f"{LIBART}/dalvik/system/ClassExt.java": [
        "private Object instanceJfieldIDs;",
        "private Object jmethodIDs;",
        "private Class<?> obsoleteClass;",
        "private Object staticJfieldIDs;",
    ],
    f"{DALVIK}/BaseDexClassLoader.java": [
        "public static native String[] computeClassLoaderContextsNative();"
    ],
    f"{LIBART}/dalvik/system/VMRuntime.java": [
        "public static native void setDisabledCompatChangesNative(long[] changes);",
        "public static native void doNotInitializeInAot();",
        "public static native void bootCompleted();",
        "public static native void resetJitCounters();",
        "public static native boolean isValidClassLoaderContext(String context);",
    ],
    f"{DALVIK}/ZygoteHooks.java": ["private static native void nativePostForkSystemServer(int flags);"],
    f"{OJLUNI}/java/lang/Thread.java": ["public static native int getNativeTid();"],
}
PROPERTIES = {
    "java.home": "/system",
    "user.name": "nobody",
    "os.arch": "unknown",
    "os.name": "Linux",
    "os.version": "0",
}


def replace(path: Path, pattern: str, replacement: str) -> None:
    """Replace what must occur."""
    text, count = re.subn(pattern, lambda _: replacement, path.read_text(encoding="utf-8"), flags=re.DOTALL)
    if count == 0:
        sys.exit(f"{path}: expected {pattern!r}")
    path.write_text(text, encoding="utf-8")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} LIBCORE")
    library = Path(sys.argv[1])
    for name, members in MEMBERS.items():
        path = library / name
        text = path.read_text(encoding="utf-8")
        end = text.rstrip().rindex("}")
        path.write_text(text[:end] + "\n".join(members) + "\n}\n", encoding="utf-8")

    java = library / OJLUNI / "java"
    descriptor = java / "io/FileDescriptor.java"
    for number in range(3):
        replace(descriptor, rf"= dupFd\({number}\);", f"= new FileDescriptor({number});")
    system = java / "lang/System.java"
    given = "".join(f'p.put("{name}", "{value}");\n' for name, value in PROPERTIES.items())
    replace(
        system,
        r"        // TODO: does this make any sense\? Should we just leave java\.home unset\?.*?"
        r"(?=        // Override built-in properties with settings from the command line\.)",
        f'        p.put("java.vm.version", runtime.vmVersion());\n{given}',
    )
    replace(
        system,
        r"        FileInputStream fdIn = .*?err = newPrintStream\([^\n]*\n",
        "        in = null;\n        out = new Console(1);\n        err = new Console(2);\n",
    )
    shutil.copy(HERE / "java/Console.java", java / "lang/Console.java")
    shutil.copy(HERE / "java/FP16.java", library / "luni/src/main/java/libcore/util/FP16.java")


if __name__ == "__main__":
    main()
