"""The C++ core makes the models that the Python runtime makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from comparing import ANY, check_models, plain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inn_runtime.cli.summary import describe, format_summary
from inn_runtime.format.axis import KERNELS, QUADRATURES
from inn_runtime.format.packed import BITS
from packing import corrected, pack
from program import Run

Answer = Callable[..., Any]


def test_calibrated_sizes(device: Run, tmp_path: Path) -> None:
    check_models(device, tiny.write(tmp_path / "a.inn"), "small", "full", "0.7", "5e-1")
    check_models(device, corrected(tmp_path / "b.inn"), "small", "full")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("rule", QUADRATURES)
def test_kernels_at_any_size(device: Run, tmp_path: Path, kernel: str, rule: str) -> None:
    document, values = plain(kernel, rule)
    sizes = ["0.01", "0.2", "0.37", "small", "0.9", "full"]
    if kernel != "selection":
        sizes += ["1.01", "1.3", "1.5"]
    check_models(device, tiny.write(tmp_path / "a.inn", document, values), *sizes)
    document["groups"][0]["a"] = -0.5
    check_models(device, tiny.write(tmp_path / "a.inn", {**document, "align": 3}, values), *sizes)


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic"])
def test_nodes_of_a_size(device: Run, tmp_path: Path, kernel: str) -> None:
    document, values = plain(kernel, "trapezoid")
    document["sizes"][0]["grids"] = {"0": "grid/0@0.5"}
    values["grid/0@0.5"] = np.array([[0, 1.25, 5, 7], [1, 2, 3, 1.5]], np.float32)
    check_models(device, tiny.write(tmp_path / "a.inn", document, values), "small", "full")
    document["sizes"][0]["tables"] = {"0": "table/0@0.5"}
    values["table/0@0.5"] = tiny.tensors()["table/0@0.5"]
    check_models(device, tiny.write(tmp_path / "a.inn", document, values), "small")


def stored(random: np.random.Generator, storage: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random values in a storage, by the suffix of their names."""
    count = int(np.prod(shape))
    if storage.startswith("float"):
        return {"": random.standard_normal(shape).astype(storage)}
    scale = random.uniform(0.01, 0.1, [n if random.integers(2) else 1 for n in shape])
    scales = {".scale": scale.astype(random.choice(["float16", "float32"]))}
    bits = int(storage) if storage != "int8" and count >= 8 else 8
    if bits == 8:
        return {"": random.integers(-128, 128, shape).astype(np.int8), **scales}
    return {"": pack(2 * random.integers(0, 1 << bits, shape) - ((1 << bits) - 1), bits), **scales}


@st.composite
def bundles(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, np.ndarray], list[str]]:
    """tiny with random axes and one more weight, of random dimensions and storage; and sizes it can take."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kernels = draw(st.sampled_from([KERNELS, KERNELS[1:]]))
    document, values = plain("selection", "none")
    counts = [draw(st.integers(1, 9)) for _ in range(draw(st.integers(1, 3)))]
    widths = [draw(st.integers(1, count)) for count in counts]
    for i, count in enumerate(counts):
        rule = {"kernel": draw(st.sampled_from(kernels)), "quadrature": draw(st.sampled_from(QUADRATURES))}
        document["groups"].append({"name": f"more{i}", "size": count, "members": [], **rule})
        document["quadratures"].append({"name": f"more{i}", "group": 2 + i})
    for size, at in zip(document["sizes"], (widths, counts)):
        size["widths"] = [*size["widths"], *at]
    if kernels is not KERNELS:  # then also larger than full, if nothing is calibrated
        for group in document["groups"][:2]:
            group["kernel"] = "cubic"

    def segment() -> dict[str, int]:
        if draw(st.integers(0, 3)) == 0:
            return {"inner": draw(st.integers(1, 4))}
        group = draw(st.integers(0, len(counts) - 1))
        repeats = {"outer": draw(st.integers(1, 2)), "inner": draw(st.integers(1, 3))}
        return {"group": 2 + group, **repeats, **({"quadrature": 2 + group} if draw(st.booleans()) else {})}

    dims = [[segment() for _ in range(draw(st.integers(1, 2)))] for _ in range(draw(st.integers(1, 3)))]
    document["weights"].append({"name": "more", "dims": dims})
    document["tensors"].append({"name": "more", "weight": 6})

    def shape(at: list[int]) -> tuple[int, ...]:
        def length(part: dict[str, int]) -> int:
            return part["inner"] * part.get("outer", 1) * (at[part["group"] - 2] if "group" in part else 1)

        return tuple(sum(map(length, segments)) for segments in dims)

    storages = st.sampled_from(["float32", "float16", "int8", *map(str, BITS)])
    more = {"weight/more": stored(random, draw(storages), shape(counts))}
    small = document["sizes"][0]
    if draw(st.booleans()):
        small["corrections"] = {"6": "correction/more"}
        more["correction/more"] = stored(random, draw(storages), shape(widths))
    for i, (count, width) in enumerate(zip(counts, widths)):
        if draw(st.integers(0, 3)) == 0:
            small["tables"][str(2 + i)] = f"table/{i}"
            more[f"table/{i}"] = stored(random, draw(storages), (count, width))
        if draw(st.integers(0, 5)) == 0:
            small.setdefault("grids", {})[str(2 + i)] = f"grid/{i}"
            nodes = np.sort(random.uniform(0, count - 1, width))
            more[f"grid/{i}"] = {"": np.stack([nodes, random.uniform(0.1, 2, width)]).astype(np.float32)}
    for key, parts in more.items():
        values |= {key + suffix: array for suffix, array in parts.items()}
    calibrated = bool(small["tables"] or small.get("grids") or small.get("corrections"))
    sizes = ["small", "full", *([] if calibrated else ["0.3", "0.77"])]
    interpolates = all(group["kernel"] != "selection" for group in document["groups"])
    return document, values, sizes + (["1.3"] if interpolates and not calibrated else [])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bundle=bundles())
def test_any_dimensions_and_storage(
    device: Run, tmp_path: Path, bundle: tuple[dict[str, Any], dict[str, np.ndarray], list[str]]
) -> None:
    document, values, sizes = bundle
    check_models(device, tiny.write(tmp_path / "a.inn", document, values), *sizes)


def test_scalars_and_every_type_of_attribute(device: Run, tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["weights"].append({"name": "scalar", "dims": []})
    document["tensors"].append({"name": "scalar", "weight": 6})
    document["tensors"].append({"name": "ü", "values": [[[-2, 0]], 5], "shape": [2]})
    document["nodes"][4]["primitive"] = ANY
    document["nodes"][4]["attributes"] += [
        [1, "bool", True], [2, "byte", -3], [4, "int", [[2, 0, 1], [-7]]], [9, "long", -(1 << 31)],
        [10, "float", 0.1], [12, "longs", [1, [[1, 0]]]], [13, "longs", []], [14, "floats", [1.5, -2]],
        [15, "floats", []], [200, "string", "naïve"], [255, "string", ""],
    ]  # fmt: skip
    values["weight/scalar"] = np.array(3.5, np.float16)
    check_models(device, tiny.write(tmp_path / "a.inn", document, values), "small", "full")
    values |= {"weight/scalar": np.array(-7, np.int8), "weight/scalar.scale": np.array(0.5, np.float32)}
    check_models(device, tiny.write(tmp_path / "a.inn", document, values), "full")


def test_more_than_the_engine_can_take(device: Run, tmp_path: Path) -> None:
    document, values = plain("cubic", "none")
    wide, long = {**document, "align": 1 << 20}, deepcopy(document)
    long["nodes"][4] |= {"primitive": ANY, "attributes": [[0, "byte", [[15, 0]]]]}
    for changed in (wide, long):
        path = tiny.write(tmp_path / "a.inn", changed, values)
        allow = ["--allow-primitive", f"7,{ANY}"]
        result = device("resample", path, "--size", "1.2", "-o", tmp_path / "b.ms", *allow)
        with pytest.raises(inn.UsageError) as caught:
            inn.open(path, allow_primitives=[7, ANY]).resample(1.2).to_bytes()
        assert result.returncode == 2
        assert result.stderr == f"inn-device resample: error: {caught.value}\n"


@pytest.mark.parametrize("kind", ["calibrated", "plain", "grids", "stored"])
def test_summaries(device: Run, tmp_path: Path, kind: str) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    if kind == "calibrated":
        document["schedule"] = "flops"
        document["curve"]["safe_from"] = 0.5
        document["sizes"][0]["measured"] = {"psnr": 31.256, "accuracy": 0.5, "agreement": 0.25, "x": 1e-9}
    else:
        document, values = plain("cubic", "trapezoid")
        document["labels"], document["macs"] = [f"ü{i}" for i in range(9)], [[1 << 31, 0]]
    if kind == "grids":
        document["sizes"][0]["grids"] = {"0": "grid/0@0.5"}
        values["grid/0@0.5"] = np.ones((2, 4), np.float32)
    if kind == "stored":  # the rarest first, and more names than are shown
        storages = ["int8", "6", "1", *["float32"] * 2, *["float16"] * 7]
        for i, storage in enumerate(storages):
            document["weights"].append({"name": f"ö{i}", "dims": [[{"inner": 4}], [{"inner": 2}]]})
            parts = stored(np.random.default_rng(i), storage, (4, 2))
            values |= {f"weight/ö{i}{suffix}": array for suffix, array in parts.items()}
    path = tiny.write(tmp_path / "a.inn", document, values)
    expected = describe(inn.open(path))
    assert json.loads(device("info", path, "--json").stdout) == expected
    assert device("info", path).stdout == format_summary(expected) + "\n"


def test_resample_says_what_it_wrote(answer: Answer, device: Run, tmp_path: Path) -> None:
    path, output = tiny.write(tmp_path / "a.inn"), tmp_path / "b.ms"
    found = answer("resample", path, "--size", "0.6", "-o", output)
    model = inn.open(path).resample(0.6)
    assert found == {
        **{"output": str(output), "size": 0.5, "name": "0.5", "bytes": output.stat().st_size},
        **{"parameters": model.parameters, "macs": model.macs, "widths": {"g0": 4, "g1": 3}},
    }
    warned = device("resample", path, "--size", "0.6", "-o", output)
    assert warned.stderr == "size 0.6 is not calibrated; using 0.5, the next below\n"
    assert warned.stdout.startswith(f"{output}: size 0.5, ")


def test_collapsed_sizes(device: Run, tmp_path: Path) -> None:
    document = tiny.manifest()
    document["curve"]["safe_from"] = 0.8
    path = tiny.write(tmp_path / "a.inn", document)
    arguments = ["resample", path, "--size", "small", "-o", tmp_path / "b.ms"]
    result = device(*arguments)
    assert (result.returncode, result.stderr[:42]) == (0, "warning: size 0.5: the network was measure")
    assert device(*arguments, "--strict").returncode == 2
