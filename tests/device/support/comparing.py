"""The device program and the Python runtime on the same bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import tiny
from flatbuffer import Reader
from program import Run

PREFIX = "error: "


def assert_same_models(found: bytes, expected: bytes) -> float:
    """The same graph and shapes, byte for byte, and tensors within 1e-6 of their scale.

    Returns
    -------
    The largest difference of a tensor, over its scale
    """
    if found == expected:
        return 0.0
    assert len(found) == len(expected)
    graphs, largest = [bytearray(found), bytearray(expected)], 0.0
    for ours, theirs in zip(*(Reader.root(content).children(7) for content in (found, expected))):
        if theirs.has(6) and theirs.scalar(1, "i") == 43:
            count = int(np.prod(theirs.vector(2, "i"), dtype=np.int64))
            start = theirs.start(6)
            assert ours.start(6) == start
            tensors = [np.frombuffer(c, "<f4", count, start) for c in (found, expected)]
            difference = float(np.abs(tensors[0] - tensors[1]).max() / max(np.abs(tensors[1]).max(), 1e-30))
            assert difference <= 1e-6, theirs.text(9)
            largest = max(largest, difference)
            for graph in graphs:
                graph[start : start + 4 * count] = bytes(4 * count)
    assert graphs[0] == graphs[1]
    return largest


ANY = 200
"""A primitive without a rule, which may have any attributes."""


def check_models(device: Run, path: Path, *sizes: str) -> None:
    for size in sizes:
        output = path.with_suffix(".ms")
        result = device("resample", path, "--size", size, "-o", output, "--allow-primitive", f"{ANY}")
        assert result.returncode == 0, result.stderr
        bundle = inn.open(path, allow_primitives=[ANY])
        assert_same_models(output.read_bytes(), bytes(bundle.resample(size).to_bytes()))


def plain(kernel: str, rule: str, align: int = 1) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """tiny without anything calibrated, so that it can take any size."""
    document, values = tiny.manifest(), tiny.tensors()
    for group in document["groups"]:
        group |= {"kernel": kernel, "quadrature": rule}
    document["sizes"][0] |= {"tables": {}, "overrides": {}}
    document["align"] = align
    return document, {key: value for key, value in values.items() if key.startswith("weight/")}


def python_message(path: Path, size: str = "small") -> str:
    """What the Python runtime says of a bundle: "" where it can be resampled."""
    try:
        bundle = inn.open(path)
        list(bundle.verify())
        bundle.resample(size).to_bytes()
    except inn.InnError as error:
        return str(error)
    return ""


def device_message(device: Run, path: Path, size: str = "small") -> str:
    for arguments in (["verify", path], ["resample", path, "--size", size, "-o", os.devnull]):
        result = device(*arguments)
        if result.returncode != 0:
            assert result.returncode == 2, result.stderr
            assert result.stderr.count("\n") == 1
            return result.stderr.partition(PREFIX)[2].rstrip("\n")
    return ""


def check_same(device: Run, path: Path) -> str:
    """Both refuse the bundle with the same words, or neither does. The words are returned.

    What stands in parentheses after a file's syntax error is the parser's, and each has its own.
    """
    expected, found = python_message(path), device_message(device, path)
    if "(" in expected and ("not an INN-Lite bundle, or" in expected or "not valid JSON" in expected):
        expected, found = expected.partition("(")[0], found.partition("(")[0]
    assert found == expected
    return expected
