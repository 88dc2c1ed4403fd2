"""Which channel groups are resized, and which quadratures these allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inn_exporter import export
from inn_runtime import UsageError
from networks import images
from operator_cases import CASES
from operator_networks import on_tokens


def test_trapezoid_does_not_integrate_products(tmp_path: Path) -> None:
    model, data = CASES["MatMul"]["attention"]().model(), images(20, 7, 5)
    with pytest.raises(UsageError, match=r"trapezoid does not integrate products of activations \(matmul_"):
        export(model, tmp_path / "x.inn", data, quadrature="trapezoid")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["keep", "only"])
def test_pattern_that_matches_nothing(option: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {option: ["conv*"]}
    model = on_tokens(lambda n, x: n.token_dense(x, 6, 6)).model()
    with pytest.raises(UsageError, match=rf"{option}: no channel group matches 'conv\*'; inn groups lists"):
        export(model, tmp_path / "x.inn", images(20, 7, 5), **arguments)
