"""What widths cost: multiply-accumulates, parameters, the engine's blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from inn_runtime.format.manifest import Expression

from ..graph import expressions
from ..graph.lowered import LoweredGraph

ENGINE_BLOCK = 8
"""MindSpore Lite computes channels in blocks: its latency follows ceil(C/8) · 8 on every axis."""


@dataclass(frozen=True)
class Cost:
    """Σ cᵢ · Π width(g), each width rounded up to a multiple of ``block``, for many widths at once.

    Attributes
    ----------
    coefficients : (terms,)
    factors : the groups of every term, (terms, most); -1 where a term has fewer
    """

    coefficients: np.ndarray
    factors: np.ndarray
    block: int = 1

    @classmethod
    def of(cls, objective: str, lowered: LoweredGraph) -> Cost:
        """What an objective counts.

        ``flops``: multiply-accumulates. ``params``: weights and biases. ``latency``: multiply-accumulates of
        the blocks that MindSpore Lite computes, widths rounded up to 8; on a CPU its latency was measured
        to be about 0.57 + 11.1 ms per 10⁹ of these.
        """
        expression: Expression = lowered.macs
        if objective == "params":
            shapes = [[expressions.length(d) for d in weight.dims] for weight in lowered.weights]
            expression = expressions.add(*(expressions.multiply(*shape) for shape in shapes))
        most = max(len(term) for term in expression) - 1
        factors = [[*term[1:], *[-1] * (most + 1 - len(term))] for term in expression]
        block = ENGINE_BLOCK if objective == "latency" else 1
        return cls(np.array([term[0] for term in expression]), np.array(factors, np.int64), block)

    def __call__(self, widths: np.ndarray) -> np.ndarray:
        """(…, groups) → (…)"""
        blocks = -(-widths // self.block) * self.block
        padded = np.concatenate([blocks, np.ones((*widths.shape[:-1], 1), np.int64)], axis=-1)
        return padded[..., self.factors].prod(-1) @ self.coefficients
