"""`inn info`, `inn verify` and `inn run`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from command import Run
from inn_runtime.cli import main
from inn_runtime.noise import noise
from packing import integers, pack

IMAGES = noise(1, (3, 2, 5, 4))

# Every command, done


def test_info(cli: Run, bundle: Path) -> None:
    code, output, errors = cli("info", bundle)
    assert (code, errors) == (0, "")
    assert "1 x 2 x 5 x 4" in output
    assert inn.open(bundle).file_digest in output
    table = output.splitlines()[-3:]
    assert table[0].split() == ["size", "parameters", "MFLOPs", "agreement"]
    assert table[1].split() == ["small", "0.5", "199", "0.01", "90.00", "%"]
    assert table[2].split() == ["full", "1", "611", "0.02", "-"]


def test_info_says_what_widths_were_chosen_by(cli: Run, bundle: Path, tmp_path: Path) -> None:
    assert "schedule" not in cli("info", bundle)[1]
    path = tiny.write(tmp_path / "b.inn", {**tiny.manifest(), "schedule": "flops"})
    assert "schedule  each size takes the FLOPs of that uniform width" in cli("info", path)[1]
    assert json.loads(cli("info", path, "--json")[1])["schedule"] == "flops"


def test_info_says_how_kernels_are_stored(cli: Run, bundle: Path, tmp_path: Path) -> None:
    assert "kernels   3 in float16\n" in cli("info", bundle)[1]
    values = tiny.tensors()
    values["weight/w1"] = values["weight/w1"].astype(np.float32)
    path = tiny.write(tmp_path / "b.inn", values=values)
    assert "kernels   2 in float16, 1 in float32 (w1)\n" in cli("info", path)[1]
    assert json.loads(cli("info", path, "--json")[1])["storage"] == {
        "float16": ["w0", "w2"],
        "float32": ["w1"],
    }


def test_info_names_a_few_kernels_that_are_stored_otherwise(cli: Run, tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    for i in range(13):
        document["weights"].append({"name": f"k{i}", "dims": [[{"inner": 4}], [{"inner": 2}]]})
        values[f"weight/k{i}"] = np.zeros((4, 2), np.float32 if i % 2 else np.float16)
    values["weight/w2"] = pack(integers(3, 3, 6), 3)
    values["weight/w2.scale"] = np.ones((1, 1), np.float32)
    path = tiny.write(tmp_path / "b.inn", document, values)
    expected = "kernels   9 in float16, 6 in float32 (k1, k3, k5, k7, k9, …), 1 in int3 (w2)\n"
    assert expected in cli("info", path)[1]


def test_info_as_json(cli: Run, bundle: Path) -> None:
    code, output, _ = cli("info", bundle, "--json")
    found = json.loads(output)
    assert code == 0
    assert (found["name"], found["labels"], found["inputs"]) == (
        "tiny",
        ["a", "b", "c"],
        {"image": [1, 2, 5, 4]},
    )
    assert [(s["name"], s["size"], s["widths"]) for s in found["sizes"]] == [
        ("small", 0.5, [4, 3]), ("full", 1.0, [8, 6])
    ]  # fmt: skip
    assert found["sizes"][0]["measured"] == {"agreement": 0.9}
    assert found["bytes"] == bundle.stat().st_size


def test_verify(cli: Run, bundle: Path) -> None:
    code, output, errors = cli("verify", bundle)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0] == "11 tensors: digests match, values are finite"
    assert lines[1].startswith("size 0.5: output 'scores' agrees to ")
    assert lines[2].startswith("size 1: output 'scores' agrees to ")


def test_verify_as_json(cli: Run, bundle: Path) -> None:
    code, output, _ = cli("verify", bundle, "--json")
    found = json.loads(output)
    assert (code, found["tensors"]) == (0, 11)
    assert [(c["size"], c["output"]) for c in found["checks"]] == [(0.5, "scores"), (1.0, "scores")]
    assert all(check["difference"] < 1e-5 for check in found["checks"])


def test_verify_without_expected_outputs(cli: Run, tmp_path: Path) -> None:
    code, output, _ = cli("verify", tiny.write(tmp_path / "a.inn"))
    assert code == 0
    assert output.splitlines()[1] == "the bundle holds no expected outputs to check the engine with"


def test_run_prints_the_best_classes(cli: Run, bundle: Path, images: Path) -> None:
    code, output, errors = cli("run", bundle, "--size", "small", "--input", images, "--top", "2")
    assert (code, errors) == (0, "")
    expected = tiny.reference(tiny.tensors(), 0.5, IMAGES)
    for index, (line, scores) in enumerate(zip(output.splitlines(), expected)):
        first, second = np.argsort(-scores)[:2]
        found = line.split()
        assert found[0] == f"scores[{index}]:"
        assert (found[1], found[3]) == ("abc"[first], "abc"[second])
        assert float(found[2]) == pytest.approx(scores[first], abs=1e-3)


def test_run_as_json(cli: Run, bundle: Path, images: Path) -> None:
    code, output, _ = cli("run", bundle, "--input", images, "--json")
    assert code == 0
    np.testing.assert_allclose(
        json.loads(output)["scores"], tiny.reference(tiny.tensors(), 1.0, IMAGES), atol=1e-5
    )


def test_run_writes_npz_and_reads_npz(cli: Run, bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=IMAGES, labels=np.arange(3))
    code, output, _ = cli("run", bundle, "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert (code, output) == (0, f"{tmp_path / 'y.npz'}: scores (3, 3)\n")
    with np.load(tmp_path / "y.npz") as found:
        np.testing.assert_allclose(found["scores"], tiny.reference(tiny.tensors(), 1.0, IMAGES), atol=1e-5)


def test_wrong_inputs(fails: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", IMAGES[0])
    np.save(tmp_path / "bytes.npy", np.zeros((1, 2, 5, 4), np.uint8))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "names.npz", picture=IMAGES)
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").write_text("")
    for name, message in [
        ("flat.npy", "input 'image': expected shape (batch, 2, 5, 4), found (2, 5, 4)"),
        ("bytes.npy", "input 'image': expected float32 values, found uint8"),
        ("objects.npy", "not a .npy or .npz file of plain arrays"),
        ("names.npz", "inputs: expected the names image, found picture"),
        ("text.npy", "not a .npy or .npz file of plain arrays"),
        ("empty.npy", "not a .npy or .npz file of plain arrays"),
        ("none.npy", "No such file or directory"),
        (".", "Is a directory"),
    ]:
        assert message in fails(2, "run", bundle, "--input", tmp_path / name)
    assert "--top: expected at least 1, found 0" in fails(2, "run", bundle, "--input", "x.npy", "--top", "0")


def test_self_check_that_fails(fails: Callable[..., str], cli: Run, tmp_path: Path) -> None:
    document, values = tiny.manifest(), tiny.tensors()
    document["sizes"][0]["check"] = {"scores": "check/scores@0.5"}
    values["check/scores@0.5"] = np.ones((1, 3), np.float32)
    path = tiny.write(tmp_path / "a.inn", document, values)
    line = fails(1, "verify", path, "--json")
    assert "size 0.5: output 'scores' differs from the self-check by" in line
    assert cli("verify", path)[0] == 1


def test_the_curve_is_drawn(collapsing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curve.png"
    assert main(["info", str(collapsing), "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "from size 1 up" in capsys.readouterr().out


def strict(text: str) -> Any:
    """JSON that knows neither NaN nor Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_what_is_printed_as_json_is_json(
    cli: Run, fails: Callable[..., str], bundle: Path, tmp_path: Path
) -> None:
    images, arguments = IMAGES.copy(), ["run", bundle, "--input", tmp_path / "x.npy", "--json"]
    images[1] = np.nan
    np.save(tmp_path / "x.npy", images)
    assert "input 'image': expected finite" in fails(2, *arguments)
    assert cli(*arguments, "--allow-nonfinite")[0] == 0
    images[1] = 1e38  # the network overflows
    np.save(tmp_path / "x.npy", images)
    code, output, _ = cli(*arguments)
    scores = strict(output)["scores"]
    assert code == 0
    assert None not in scores[0] + scores[2]
    assert None in scores[1]
