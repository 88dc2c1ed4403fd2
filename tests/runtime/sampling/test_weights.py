"""A bundle's weights at a size: scalars, nodes of its own, bounded memory and time."""

from __future__ import annotations

import time
from pathlib import Path

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from inn_runtime.format.axis import Axis, Grid
from inn_runtime.sampling.axes import prior, sampling_matrix


def test_weights_of_a_bundle(tmp_path: Path) -> None:
    values = tiny.tensors()
    model = inn.open(tiny.write(tmp_path / "a.inn", values=values)).resample("small")
    expected = values["weight/w1"][:3].astype(np.float32) @ (np.eye(8, 4) + values["table/0@0.5"])
    np.testing.assert_allclose(model.weight(2), expected, atol=1e-6)
    np.testing.assert_array_equal(model.weight(3), values["override/b1@0.5"])
    np.testing.assert_array_equal(model.weight(4), values["override/w2@0.5"].astype(np.float32))


def test_weights_at_full_size_are_the_control_grid(tmp_path: Path) -> None:
    values = tiny.tensors()
    model = inn.open(tiny.write(tmp_path / "a.inn", values=values)).resample("full")
    for index, name in enumerate(("w0", "b0", "w1", "b1", "w2", "b2")):
        np.testing.assert_array_equal(model.weight(index), values[f"weight/{name}"].astype(np.float32))


@pytest.mark.parametrize("name", ["weight/w1", "weight/b1"])
@pytest.mark.filterwarnings("error")
def test_what_is_computed_of_finite_values_must_be_finite(tmp_path: Path, name: str) -> None:
    """A product that overflows, or a sum."""
    document, values = tiny.manifest(), tiny.tensors()
    largest = np.finfo(np.float32).max
    if name == "weight/w1":
        values["weight/w1"] = np.full((6, 3, 3, 8), largest, np.float32)
        values["table/0@0.5"] = np.full((8, 4), 2, np.float32)
    else:
        document["sizes"][0] |= {"overrides": {}, "corrections": {"3": "correction/b1@0.5"}}
        values["weight/b1"] = np.full(6, largest, np.float32)
        values["correction/b1@0.5"] = np.full(3, largest, np.float32)
        del values["override/b1@0.5"], values["override/w2@0.5"]
    bundle = inn.open(tiny.write(tmp_path / "a.inn", document, values))
    assert len(list(bundle.verify())) == len(values)
    weight = name.removeprefix("weight/")
    with pytest.raises(inn.BundleError, match=rf"a.inn: weight '{weight}' at size 0.5 holds values that are"):
        bundle.resample("small").to_bytes()
    assert len(bundle.resample("full").to_bytes()) > 1000


def test_scalars_are_tensors_too(tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["weights"].append({"name": "scalar", "dims": []})
    document["tensors"].append({"name": "scalar", "weight": 6})
    values["weight/scalar"] = np.array(3.5, np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", document, values)).resample("small")
    assert model.weight(6).shape == ()
    assert model.weight(6) == 3.5
    assert len(model.to_bytes()) > 0


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic"])
def test_a_size_may_have_nodes_of_its_own(tmp_path: Path, kernel: str) -> None:
    document, tensors = tiny.manifest(), tiny.tensors()
    document["groups"][0] |= {"kernel": kernel, "quadrature": "trapezoid", "a": -0.5}
    document["sizes"][0] |= {"grids": {"0": "grid/0@0.5"}, "tables": {}}
    del tensors["table/0@0.5"]
    tensors["grid/0@0.5"] = np.array([[0, 1.25, 5, 7], [1, 2, 3, 1.5]], np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", document, tensors)).resample(0.5)
    axis = Axis(8, kernel, "trapezoid", -0.5)
    grid = Grid(*tensors["grid/0@0.5"].astype(float))
    expected = np.tensordot(sampling_matrix(axis, grid), tiny.tensors()["weight/w0"], (1, 0))
    np.testing.assert_allclose(model.weight(0), expected, atol=1e-6)
    expected = tiny.tensors()["weight/w1"][:3] @ prior(axis, grid)
    np.testing.assert_allclose(model.weight(2), expected, atol=1e-5)
    assert model.bundle.manifest.is_calibrated

    tensors["grid/0@0.5"][0, -1] = 7.5
    with pytest.raises(inn.BundleError, match=r"'grid/0@0.5': expected nodes in \[0, 7\]"):
        inn.open(tiny.write(tmp_path / "b.inn", document, tensors)).resample(0.5).weight(0)
    tensors["grid/0@0.5"] = np.zeros((2, 3), np.float32)
    with pytest.raises(inn.BundleError, match=r"grid/0@0\.5"):
        inn.open(tiny.write(tmp_path / "c.inn", document, tensors))


@pytest.mark.parametrize(
    ("kernel", "rule"), [("selection", "trapezoid"), ("linear", "none"), ("cubic", "none")]
)
def test_memory_follows_the_file_not_the_widths(tmp_path: Path, kernel: str, rule: str) -> None:
    full = 1 << 18  # a dense sampling matrix would take 275 GB
    document, values = tiny.manifest(), tiny.tensors()
    document["groups"].append(
        {"name": "g2", "size": full, "kernel": kernel, "quadrature": rule, "members": []}
    )
    document["quadratures"].append({"name": "third", "group": 2})
    for size, width in zip(document["sizes"], (full // 2, full)):
        size["widths"].append(width)
    document["weights"] += [
        {"name": "b3", "dims": [[{"group": 2}]]},
        {"name": "w3", "dims": [[{"inner": 1}], [{"group": 2, "quadrature": 2}]]},
    ]
    values |= {"weight/b3": np.zeros(full, np.float16), "weight/w3": np.ones((1, full), np.float16)}
    model = inn.open(tiny.write(tmp_path / "a.inn", document, values)).resample("small")
    assert model.weight(6).shape == (full // 2,)
    assert model.weight(7).shape == (1, full // 2)


def test_time_follows_the_file_not_the_square_of_it(tmp_path: Path) -> None:
    count = 10_000
    document, values = tiny.manifest(), tiny.tensors()
    group = {"size": 1, "kernel": "selection", "quadrature": "none", "members": []}
    document["groups"] += [{"name": f"x{i}", **group} for i in range(count)]
    for size in document["sizes"]:
        size["widths"] += [1] * count
    document["weights"].append({"name": "w", "dims": [[{"group": 2 + i} for i in range(count)]]})
    values["weight/w"] = np.arange(count, dtype=np.float32)
    model = inn.open(tiny.write(tmp_path / "a.inn", document, values)).resample("small")
    start = time.perf_counter()
    np.testing.assert_array_equal(model.weight(6), values["weight/w"])
    assert time.perf_counter() - start < 2
