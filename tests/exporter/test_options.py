"""Options: what is refused, and that a bundle says all that made it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import inn_exporter
import inn_runtime as inn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_exporter.defaults import OBJECTIVES, STORAGES
from inn_exporter.option_fields import from_text
from inn_exporter.options import Options
from inn_exporter.training.options import Tuning
from places import RESNET20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": (0.5, 1.5)}, r"sizes: expected numbers in \(0, 1\], found 1.5"),
        ({"storage": "int3"}, "storage: expected one of float32, float16, int8"),
        ({"quadrature": "magic"}, "quadrature: expected one of"),
        ({"quadrature": "trapezoid", "order": "nested"}, "order: expected smooth or given for trapezoid"),
        ({"quadrature": "none", "order": "smooth"}, "order: expected l1 or nested for none"),
        ({"effort": "none"}, "effort: expected one of"),
        ({"align": 0}, "align: expected at least 1, found 0"),
        ({"optimise": "speed"}, "optimise: expected one of uniform, flops, params, latency, found 'speed'"),
        ({"optimise": "params", "quadrature": "trapezoid"}, "optimise: params needs calibrated quadrature"),
        ({"optimise": "flops", "quadrature": "none"}, "found none"),
        ({"limit": 3.0}, "limit: only distill can be cut short, found effort 'refit'"),
        ({"limit": 0.0, "effort": "distill"}, "limit: expected minutes above 0, found 0.0"),
        ({"limit": float("nan"), "effort": "distill"}, "limit: expected minutes above 0, found nan"),
        ({"images": 3}, "images: expected at least 16"),
        ({"keep": ["*"]}, "no channel group can be resized"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((20, 1, 28, 28))
    with pytest.raises(inn.UsageError, match=message):
        inn_exporter.export(RESNET20, tmp_path / "a.inn", data, **changes)


def _bundle(text: str | None) -> Any:
    """As much of a bundle as says how it was made."""
    producer = {"name": "innlite"} if text is None else {"name": "innlite", "options": text}
    return SimpleNamespace(source="old.inn", manifest=SimpleNamespace(producer=producer))


_WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1).filter(
    lambda word: not word.startswith("-")
)
_OPTIONS = st.builds(
    Options,
    sizes=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=4).map(tuple),
    refit_up_to=st.floats(0, 1),
    span_steps=st.integers(0, 99),
    storage=st.sampled_from(STORAGES),
    optimise=st.sampled_from(list(OBJECTIVES)),
    align=st.none() | st.integers(1, 16),
    seed=st.integers(-5, 5),
    keep=st.lists(_WORDS, max_size=3).map(tuple),
    only=st.lists(_WORDS, max_size=3).map(tuple),
    input_shapes=st.dictionaries(_WORDS, st.lists(st.integers(1, 512), min_size=1).map(tuple), max_size=2),
)
_TUNINGS = st.builds(
    Tuning,
    seen=st.integers(1, 10**6),
    rate=st.none() | st.floats(1e-6, 1),
    mirror=st.booleans(),
    least=st.floats(0.1, 1),
    most=st.floats(1, 1.5),
    patience=st.none() | st.integers(1, 9),
    sizes=st.integers(1, 5),
    seed=st.integers(0, 9),
)


@settings(deadline=None)
@given(_OPTIONS, st.none() | _TUNINGS)
def test_a_bundle_says_the_options_that_made_it(options: Options, tuning: Tuning | None) -> None:
    options = replace(options, tunes=tuning is not None, tuning=tuning)
    assert Options.of(_bundle(options.recorded()["options"])) == options


def test_what_depends_on_the_machine_is_not_said() -> None:
    options = Options(effort="distill", limit=5.0)
    assert Options.of(_bundle(options.recorded()["options"])) == replace(options, limit=None)
    text = Options(tunes=True, checkpoint="run.safetensors").recorded()["options"]
    assert Options.of(_bundle(text)).checkpoint is None


def test_a_tuned_bundle_says_the_defaults_that_were_meant() -> None:
    found = Options.of(_bundle(Options(tunes=True, seed=3).recorded()["options"]))
    assert found.tuning == Tuning(seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--fancy 3", "options that this version does not know: unrecognized arguments: --fancy 3"),
        ("--keep 'a", "options that this version does not know: No closing quotation"),
        ("--effort none", "options that this version does not know: argument --effort: invalid choice"),
        (None, "it does not say how it was made"),
    ],
)
def test_a_bundle_that_does_not_say_is_refused(text: str | None, message: str) -> None:
    with pytest.raises(inn.UsageError, match=rf"^old\.inn: .*{message}"):
        Options.of(_bundle(text))


def test_what_is_no_option_is_an_error_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        inn_exporter.export(RESNET20, tmp_path / "a.inn", {}, nonsense=1)


def test_a_bundle_cannot_say_where_to_write() -> None:
    """What is never recorded is not read back, either."""
    with pytest.raises(inn.UsageError, match=r"a\.inn: .*--checkpoint"):
        from_text((Options, Tuning), "--effort=fast --checkpoint=/etc/passwd", "a.inn")


@pytest.mark.parametrize(
    "options", [Options(keep=("-stem", "a b")), Options(sizes=()), Options(sizes=(np.float32(0.3),))]
)
def test_awkward_values_are_read_back(options: Options) -> None:
    (values, _) = from_text((Options, Tuning), options.recorded()["options"], "a.inn")
    assert replace(Options(), **values) == options
