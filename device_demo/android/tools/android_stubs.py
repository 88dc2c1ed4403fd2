"""Java sources that stand in for the Android classes of an app, from Android's list of its API.

    python android_stubs.py current.txt NAMES.txt FOLDER

NAMES.txt holds the classes, one a line, nested ones too. Of each, those members are written whose types are
among these classes or Java's own; bodies throw. What a class implements is left out, and its abstract methods
get a body: enough to call and to extend, not to run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ANNOTATION = re.compile(r"@(?!interface\b)[\w.]+(\((?:[^()]|\([^()]*\))*\))?\s*")
QUALIFIED = re.compile(r"\b[a-z]\w*(?:\.\w+)+")
BODY = '{ throw new RuntimeException("stub"); }'


@dataclass
class Declared:
    """A class of the API list."""

    modifiers: list[str]
    kind: str
    name: str
    parents: list[str]
    members: list[tuple[str, str]] = field(default_factory=list)


def parse(lines: Iterator[str]) -> dict[str, Declared]:
    """Every class of an API list (signature format 2.0), by its qualified name."""
    classes: dict[str, Declared] = {}
    package, current = "", None
    for line in lines:
        text = ANNOTATION.sub("", line.strip())
        if text.startswith("package "):
            package = text.split()[1]
        elif text.endswith("{"):
            found = re.match(r"((?:\w+ )*?)(class|interface|@interface|enum) ([\w.]+)(.*)\{", text)
            assert found is not None, line
            parents = found[4].replace("extends", "").partition("implements")
            listed = " ".join(parents) if found[2] == "interface" else parents[0]
            current = Declared(found[1].split(), found[2], found[3], QUALIFIED.findall(listed))
            classes[f"{package}.{found[3]}"] = current
        elif current is not None:
            member = re.match(r"(ctor|method|field|enum_constant) (.*);", text)
            if member:
                current.members.append((member[1], member[2]))
    return classes


class Writer:
    """Java sources of some of the classes."""

    def __init__(self, classes: dict[str, Declared], wanted: set[str]) -> None:
        self.classes = classes
        self.wanted = wanted

    def source(self, name: str) -> str:
        """The source file of a top-level class with its wanted nested ones."""
        package, _, _ = name.rpartition(".")
        return f"package {package};\n\n{self._declaration(name, nested=False)}"

    def _known(self, text: str) -> bool:
        return all(n.startswith("java.") or n in self.wanted for n in QUALIFIED.findall(text))

    def _declaration(self, name: str, nested: bool) -> str:
        declared = self.classes[name]
        simple = name.rpartition(".")[2]
        modifiers = [m for m in declared.modifiers if m in ("public", "protected", "abstract", "final")]
        if nested:
            modifiers.append("static")
        if declared.kind == "enum":
            constants = [m.split()[-1] for kind, m in declared.members if kind == "enum_constant"]
            modifiers = [m for m in modifiers if m not in ("final", "abstract")]
            return f"{' '.join(modifiers)} enum {simple} {{ {', '.join(constants)} }}\n"
        is_interface = declared.kind == "interface"
        parents = [p for p in declared.parents if self._known(p)]
        if declared.parents and not parents and not is_interface:
            sys.exit(f"{name} extends {declared.parents[0]}, which is not in the list of classes")
        extends = f" extends {', '.join(parents)}" if parents else ""
        lines = [f"{' '.join(modifiers)} {declared.kind} {simple}{extends} {{"]
        if not is_interface and f"{simple}()" not in "".join(m for k, m in declared.members if k == "ctor"):
            lines.append(f"    protected {simple}() {BODY}")
        for kind, member in declared.members:
            if self._known(re.sub(r'"(?:[^"\\]|\\.)*"', "", member)):
                lines += [f"    {line}" for line in self._member(kind, member, simple, is_interface)]
        for other in sorted(self.wanted):
            if other.rpartition(".")[0] == name:
                lines += [f"    {line}" for line in self._declaration(other, nested=True).splitlines()]
        return "\n".join([*lines, "}"]) + "\n"

    def _member(self, kind: str, member: str, simple: str, is_interface: bool) -> Iterator[str]:
        if kind == "field":
            declaration, _, value = member.partition(" = ")
            value = value.partition(";")[0]
            if " final " in f" {declaration} " and not value:
                value = _default(declaration)
            yield f"{declaration} = {value};" if value else f"{declaration};"
            return
        signature = re.sub(r"\b(abstract|native|synchronized|deprecated|default) ", "", member)
        parameters = iter(range(100))
        head, _, rest = signature.partition("(")
        inner, _, tail = rest.rpartition(")")
        named = ", ".join(f"{_type(p)} p{next(parameters)}" for p in _split(inner))
        if kind == "ctor":
            head = re.sub(rf"[\w.]*\b{simple}$", simple, head)
        if is_interface and " static " not in f" {head} ":
            yield f"{head}({named}){tail};"
        else:
            yield f"{head}({named}){tail} {BODY}"


def _default(declaration: str) -> str:
    """A value for a constant that the list gives none; not a constant expression, so nothing keeps it."""
    kind = declaration.split()[-2]
    if kind in ("int", "long", "short", "byte", "char", "float", "double"):
        return f"({kind}) Math.abs(0)"
    return "new Object() == null" if kind == "boolean" else "null"


def _split(parameters: str) -> list[str]:
    """At commas outside angle brackets."""
    parts, depth = [""], 0
    for character in parameters:
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _type(parameter: str) -> str:
    """The parameter without the name that some have."""
    return re.sub(r"^final ", "", re.sub(r"([\w>\].])\s+\w+$", r"\1", parameter))


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__.split("\n\n")[1].strip())
    with open(sys.argv[1], encoding="utf-8") as stream:
        classes = parse(iter(stream))
    wanted = set(Path(sys.argv[2]).read_text().split())
    unknown = sorted(wanted - set(classes))
    if unknown:
        sys.exit(f"not in {sys.argv[1]}: {', '.join(unknown)}")
    writer, folder = Writer(classes, wanted), Path(sys.argv[3])
    for name in sorted(wanted):
        if name.rpartition(".")[0] not in classes:
            path = folder / (name.replace(".", "/") + ".java")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(writer.source(name), encoding="utf-8")


if __name__ == "__main__":
    main()
