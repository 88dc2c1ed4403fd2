"""Find the packages, and compile the C interface to MindSpore Lite into wheels.

Everything else is in pyproject.toml.

A wheel for one platform comes out where there are a C++ compiler and MindSpore Lite: a folder in the
environment variable INNLITE_MINDSPORE_LITE, or the cache, which the first use of the runtime fills. Else
the wheel fits every platform and the runtime compiles the interface at its first use.

Wheels for ARM can be built on x86-64: with the environment variable _PYTHON_HOST_PLATFORM=linux-aarch64,
which is Python's own for this, a cross compiler, and that machine's MindSpore Lite in the cache.
"""

from __future__ import annotations

import sys
import sysconfig
import types
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

RUNTIME = Path(__file__).parent / "runtime" / "inn_runtime"

# Namespaces in place of the packages, whose __init__ modules import what need not be installed to build.
for name, folder in (("inn_runtime", RUNTIME), ("inn_runtime.engine", RUNTIME / "engine")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(folder)]

from inn_runtime.engine import build, library  # noqa: E402
from inn_runtime.errors import EngineError  # noqa: E402


class BuildWithInterface(build_py):
    """Add the compiled interface where it can be had; never fail for want of it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # it would not notice that its source has changed
            return
        folder = Path(self.build_lib, "inn_runtime", "engine")
        for old in folder.glob("inn_engine-*.so"):  # from an earlier build in the same tree
            old.unlink()
        architecture = sysconfig.get_platform().partition("-")[2]
        try:
            found = library.find_local_library(architecture)
            if found is None:
                raise EngineError("MindSpore Lite is not on this machine yet")
            build.compile_interface(found, folder / build.compiled_name(found, architecture), architecture)
        except EngineError as error:
            self.warn(f"the engine's C interface is left to be compiled at first use: {error}")


class WheelWithInterface(bdist_wheel):
    """Tag the wheel for this platform, and any Python 3, if it has the compiled interface."""

    def get_tag(self) -> tuple[str, str, str]:
        if any(Path(self.bdist_dir).rglob("inn_engine-*.so")):
            self.root_is_pure = False
            return "py3", "none", super().get_tag()[2]
        return super().get_tag()


DATA = ["inn_runtime.native", "inn_runtime.serve.page"]
"""Folders without a module, which are not found as packages."""

setup(
    packages=[*find_packages("runtime"), *DATA, *find_packages("exporter")],
    cmdclass={"build_py": BuildWithInterface, "bdist_wheel": WheelWithInterface},
)
