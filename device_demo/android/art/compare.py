"""Compares what ArtProbe printed on several runtimes with the first.

    python compare.py jvm.txt OTHER.txt...

Words must be the same; floats, printed as hexadecimal bits after ``scores``, may differ by 1e-5 of their
scale, since sums differ by processor.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

TOLERANCE = 1e-5


def parse(path: Path) -> list[tuple[str, list[float]]]:
    """Each line's words, and its floats."""
    lines = []
    for line in path.read_text().splitlines():
        words, _, bits = line.partition(" scores ")
        lines.append((words, [struct.unpack(">f", bytes.fromhex(b.rjust(8, "0")))[0] for b in bits.split()]))
    return lines


def difference(expected: Path, found: Path) -> float:
    """The largest difference of any line's floats, over their scale; ends the program where words differ."""
    first, second = parse(expected), parse(found)
    if [words for words, _ in first] != [words for words, _ in second] or not first:
        sys.exit(f"{found} differs from {expected}")
    largest = 0.0
    for (words, wanted), (_, values) in zip(first, second):
        if len(wanted) != len(values):
            sys.exit(f"{found}: {words}: expected {len(wanted)} scores, found {len(values)}")
        scale = max(map(abs, wanted), default=1.0)
        largest = max([largest, *(abs(w - v) / scale for w, v in zip(wanted, values))])
    return largest


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} FIRST OTHER...")
    expected, *others = map(Path, sys.argv[1:])
    for path in others:
        largest = difference(expected, path)
        print(
            f"{path.stem}: {len(parse(path))} lines as on the JVM, scores within {largest:.1e} of their scale"
        )
        if not largest <= TOLERANCE:
            sys.exit(f"{path}: expected at most {TOLERANCE:g}")


if __name__ == "__main__":
    main()
