"""Parsing manifests: every field that is wrong is named, and nothing crashes the loader."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import inn_runtime as inn
import pytest
import tiny
from hostile import ANY_JSON, NO_JSON, WRONG_FIELDS, check_message, paths, set_field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save


def test_key_order_of_the_manifest_does_not_matter(tmp_path: Path) -> None:
    document = dict(reversed(tiny.manifest().items()))
    assert inn.open(tiny.write(tmp_path / "a.inn", document)).manifest.name == "tiny"


@pytest.mark.parametrize(("path", "value", "message"), WRONG_FIELDS)
def test_wrong_fields_are_named(tmp_path: Path, path: str, value: Any, message: str) -> None:
    document = tiny.manifest()
    set_field(document, path, value)
    with pytest.raises(inn.BundleError, match=message) as caught:
        inn.open(tiny.write(tmp_path / "a.inn", document))
    assert str(tmp_path / "a.inn") in str(caught.value)
    check_message(caught.value)


@pytest.mark.parametrize("key", sorted(tiny.manifest()))
def test_missing_fields_are_named(tmp_path: Path, key: str) -> None:
    document = tiny.manifest()
    del document[key]
    with pytest.raises(inn.BundleError, match=f"{key} is missing"):
        inn.open(tiny.write(tmp_path / "a.inn", document))


@pytest.mark.parametrize("text", NO_JSON)
def test_manifest_that_is_no_json_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.inn").write_bytes(save(tiny.tensors(), {"innlite": text}))
    with pytest.raises(inn.BundleError) as caught:
        inn.open(tmp_path / "a.inn")
    check_message(caught.value)


def test_a_curve_may_lack_its_safe_size(tmp_path: Path) -> None:
    document = tiny.manifest()
    document["curve"]["safe_from"] = None
    assert inn.open(tiny.write(tmp_path / "a.inn", document)).resample("small").is_safe


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_replaced_by_anything_never_crashes(tmp_path: Path, data: st.DataObject) -> None:
    document = deepcopy(tiny.manifest())
    path = data.draw(st.sampled_from(paths(document)))
    target: Any = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = data.draw(ANY_JSON)
    try:
        bundle = inn.open(tiny.write(tmp_path / "a.inn", document))
        for preset in bundle.manifest.presets:
            bundle.resample(preset).to_bytes()
    except inn.InnError as error:
        check_message(error)
