"""Imports only go down: the floors of both packages, as data.

A room is a folder or a module at the top of a package. It may import from rooms on floors below its own; in a
room, files import each other, but not in a circle. Imports in functions and for type checking count, too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = {"inn_runtime": ROOT / "runtime", "inn_exporter": ROOT / "exporter"}

FLOORS: dict[str, list[set[str]]] = {
    "inn_runtime": [
        {"errors", "finite", "noise", "version"},
        {"files", "preprocessing", "format", "engine", "source"},
        {"model_cache", "runnable", "sampling"},
        {"measuring"},
        {"budget"},
        {"session"},
        {"network"},
        {"bench", "governor"},
        {"cli"},
        {"serve"},
    ],
    "inn_exporter": [
        {"backend", "defaults", "errors", "option_fields", "progress"},
        {"graph", "integral"},
        {"operators"},
        {"execution", "importers", "passes"},
        {"data", "storage"},
        {"ordering"},
        {"calibration"},
        {"schedule", "bundling", "training", "work"},
        {"options", "cost_estimate"},
        {"pipeline"},
        {"cli"},
    ],
}

MODULES = {
    ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
    for package, root in ROOTS.items()
    for path in sorted((root / package).rglob("*.py"))
}


def imported(module: str) -> Iterator[str]:
    """The modules of ours that a module imports."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                found = next((name for name in (f"{base}.{alias.name}", base) if name in MODULES), None)
                if found is not None and found != module:
                    yield found


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _floor_of(package: str) -> dict[str, int]:
    return {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms}


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_a_floor(package: str) -> None:
    rooms = {_room(module) for module in MODULES if module.startswith(f"{package}.")}
    assert rooms == set(_floor_of(package))


@pytest.mark.parametrize("package", FLOORS)
def test_imports_go_down(package: str) -> None:
    floors, wrong = _floor_of(package), []
    for module in MODULES:
        for other in imported(module) if module.startswith(f"{package}.") else ():
            here, there = _room(module), _room(other)
            if other.startswith(f"{package}.") and here != there and floors[here] <= floors[there]:
                wrong.append(f"{module} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_the_runtime_knows_nothing_of_the_exporter() -> None:
    for module in MODULES:
        if module.startswith("inn_runtime"):
            assert not [other for other in imported(module) if other.startswith("inn_exporter")], module


def test_no_study_needs_another() -> None:
    """In the benchmarks, studies and reports stand on networks and harness, networks on the harness."""
    below = {
        "harness": {"harness"},
        "networks": {"harness", "networks"},
        "studies": {"harness", "networks"},
        "reports": {"harness", "networks"},
    }
    for room, allowed in below.items():
        files = list((ROOT / "benchmarks" / room).rglob("*.py"))
        assert files, room
        for path in files:
            found = re.findall(
                r"^\s*(?:from|import) benchmarks\.(\w+)", path.read_text(encoding="utf-8"), re.M
            )
            assert set(found) <= allowed, path


def test_no_file_is_imported_by_what_it_imports() -> None:
    after: dict[str, list[str]] = {}  # module → what it imports, once that is known to be free of circles

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join([*way[way.index(module) :], module])
        if module not in after:
            after[module] = list(imported(module))
            # A package's own file gathers names; that others are loaded through it is no circle.
            for other in after[module] if "." in module else ():
                visit(other, (*way, module))

    for module in MODULES:
        visit(module, ())


def test_the_exporters_tests_are_where_their_modules_are() -> None:
    tests = ROOT / "tests" / "exporter"
    others = {"random_networks.py", "strangers.py", "operators/operators.py", "operators/add_an_operator.py"}
    tested = {path.with_name(path.name[len("test_") :]) for path in tests.rglob("test_*.py")}
    names = {path.relative_to(tests).as_posix() for path in tested} - others
    assert not {name for name in names if not (ROOTS["inn_exporter"] / "inn_exporter" / name).is_file()}


def test_no_test_imports_another() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in named if name.split(".")[-1].startswith("test_")], path


def test_files_and_functions_stay_short() -> None:
    """About 350 lines, and a function fits a screen or says why it does not."""
    long = []
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 360:
            long.append(f"{module}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno - len((ast.get_docstring(node) or "").splitlines())
                if lines > 60:
                    long.append(f"{module}.{node.name}: {lines} lines without its docstring")
    assert not long, "\n".join(long)
