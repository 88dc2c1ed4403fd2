"""Checkpoints: what was written comes back whole; nothing else is taken for one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inn_exporter.backend import mindspore
from inn_exporter.training.checkpoint import KEY, Checkpoint
from inn_runtime import UsageError
from safetensors.numpy import load, save

IDENTITY = {"network": "a", "tuning": {"seen": 640}}
STEPS = 20


def parameters(value: float) -> list[Any]:
    """A matrix and a scalar, as Adam has, all of one value."""
    package = mindspore()
    arrays = {"w": np.full((2, 3), value, np.float32), "beta1_power": np.array(value, np.float32)}
    return [package.Parameter(package.Tensor(array), name=name) for name, array in arrays.items()]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Written after step 7, all values 0.5."""
    written = Checkpoint(tmp_path / "run.safetensors", IDENTITY)
    written.write(parameters(0.5), 7)
    return written


def test_it_comes_back_as_often_as_one_likes(checkpoint: Checkpoint) -> None:
    for step in (7, 8, 9):
        state = parameters(0)
        assert checkpoint.read(state, STEPS) == step
        assert [tuple(p.shape) for p in state] == [(2, 3), ()]
        assert all((p.asnumpy() == 0.5).all() for p in state)
        checkpoint.write(state, step + 1)


def test_where_there_is_none_it_begins_at_nought(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "none", IDENTITY).read(parameters(0), STEPS) == 0


def rewritten(change: Callable[[dict[str, Any], dict[str, np.ndarray]], Any]) -> Callable[[Path], Any]:
    """The file with its record and arrays changed, but not its digest."""

    def rewrite(path: Path) -> None:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        record = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
        arrays = load(content)
        record = change(record, arrays) or record
        path.write_bytes(save(arrays, {KEY: record if isinstance(record, str) else json.dumps(record)}))

    return rewrite


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


NO_CHECKPOINT = "not a tuning checkpoint"
ANOTHER = "another run: network: expected a"
DAMAGED = "the checkpoint is damaged: its digest does not match"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), NO_CHECKPOINT),
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), NO_CHECKPOINT),
        (lambda path: path.write_bytes(save({"w": np.zeros(3)})), NO_CHECKPOINT),
        (lambda path: path.unlink() or path.mkdir(), NO_CHECKPOINT),
        (lambda path: path.unlink() or path.symlink_to("nowhere"), NO_CHECKPOINT),
        (pipe, NO_CHECKPOINT),
        (rewritten(lambda record, arrays: "[" * 100_000), NO_CHECKPOINT),
        (rewritten(lambda record, arrays: "[1]"), NO_CHECKPOINT),
        (
            rewritten(lambda record, arrays: record.pop("network") and None),
            ANOTHER,
        ),
        (rewritten(lambda record, arrays: record.pop("digest") and None), DAMAGED),
        (rewritten(lambda record, arrays: {**record, "step": 10**9}), DAMAGED),
        (rewritten(lambda record, arrays: arrays.pop("w") is None), DAMAGED),
        (rewritten(lambda record, arrays: arrays["w"].fill(1)), DAMAGED),
        (flipped, DAMAGED),
    ],
)
def test_what_is_none_is_refused_and_sets_nothing(
    checkpoint: Checkpoint, damage: Callable[[Path], Any], message: str
) -> None:
    damage(checkpoint.path)
    state = parameters(0)
    with pytest.raises(UsageError, match=message) as caught:
        checkpoint.read(state, STEPS)
    assert str(caught.value).startswith(f"{checkpoint.path}: ")
    assert len(str(caught.value)) < 500
    assert not any(p.asnumpy().any() for p in state)


@pytest.mark.parametrize("step", [-1, STEPS + 1, 10**9, 3.0, True, None, "7"])
def test_steps_that_the_run_has_not(checkpoint: Checkpoint, step: Any) -> None:
    checkpoint.write(parameters(0.5), step)
    with pytest.raises(UsageError, match="step: expected an integer from 0 to 20, found"):
        checkpoint.read(parameters(0), STEPS)


def test_values_that_do_not_fit(checkpoint: Checkpoint) -> None:
    package = mindspore()
    checkpoint.write(parameters(np.nan), 7)
    with pytest.raises(UsageError, match="w: expected finite values"):
        checkpoint.read(parameters(0), STEPS)
    for array in (np.zeros((3, 2), np.float32), np.zeros((2, 3), np.float16)):
        checkpoint.write([package.Parameter(package.Tensor(array), name="w")], 7)
        with pytest.raises(UsageError, match=r"w: expected float32 \(2, 3\), found float"):
            checkpoint.read(parameters(0), STEPS)
    checkpoint.write(parameters(0)[:1], 7)
    with pytest.raises(UsageError, match=r"beta1_power: expected float32 \(\), found nothing"):
        checkpoint.read(parameters(0), STEPS)
