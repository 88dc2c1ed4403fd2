"""What every engine offers, however MindSpore Lite is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Union

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Buffer = Union[bytes, bytearray, memoryview]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a built model, in the engine's own layout (NHWC for images)."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


@dataclass(frozen=True)
class NodeTime:
    """How long one node of a model took, in milliseconds."""

    name: str
    type: str
    milliseconds: float


class EngineModel(Protocol):
    """A model that the engine has built. Calls are serialised by a lock; use one per thread for more."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, with the shapes of the latest run; before the first they may be empty or missing."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once.

        Parameters
        ----------
        inputs : one array per input, keyed by name, of exactly the input's shape and dtype

        Returns
        -------
        One array per output, keyed by name; the caller owns them.

        Raises
        ------
        UsageError : an input is missing, unknown, or of the wrong shape or dtype; or the model is closed
        EngineError : the engine failed
        """
        ...

    def profile(self, inputs: Mapping[str, Array]) -> list[NodeTime]:
        """Run once and time every node, in order of execution. Same errors as `run`; also EngineError where
        the engine cannot time nodes."""
        ...

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Give the inputs new shapes (the batch), keyed by name. Same errors as `run`."""
        ...

    def close(self) -> None:
        """Free the model. Closing twice is allowed."""
        ...


class Engine(Protocol):
    """A way to reach MindSpore Lite."""

    @property
    def name(self) -> str:
        """``native``, ``worker`` or ``vendor``."""
        ...

    @property
    def version(self) -> str:
        """Version of MindSpore Lite, for instance ``2.0.0``."""
        ...

    def build(self, model: Buffer, threads: int = 1) -> EngineModel:
        """Build a model from the bytes of a ``.ms`` file, which may be freed at once afterwards.

        Raises
        ------
        UsageError : ``threads`` is not a positive integer
        EngineError : the engine refuses the bytes
        """
        ...
