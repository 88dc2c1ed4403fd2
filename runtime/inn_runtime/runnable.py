"""What is run and measured: a network at one size, without saying where its weights come from.

`inn_runtime.network.Model` is one. What runs and measures stands below it and knows no more than this.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from .format.manifest import Manifest


class Running(Protocol):
    """A network in the engine; `inn_runtime.session.Session` is one."""

    def run(self, inputs: Any) -> Any:
        """The network's outputs for its inputs, arrays or mappings of them."""
        ...


class Runnable(Protocol):
    """A network at one size."""

    @property
    def manifest(self) -> Manifest:
        """What the bundle says: inputs and outputs, and the sizes that there are."""
        ...

    @property
    def weights(self) -> str:
        """``float32`` or ``float16``: the type of the weights in the `.ms` file."""
        ...

    @property
    def model_bytes(self) -> int:
        """Size of the `.ms` file."""
        ...

    def to_engine_bytes(self) -> memoryview:
        """The model for this process's engine, with float32 weights."""
        ...

    def check_batch(self, batch: int) -> None:
        """BundleError where the graph does not fit so many images at a time."""
        ...

    def resized(self: Sized, size: Any, *, threads: int = 1, engine: str = "auto") -> Sized:
        """The same network at another size: a preset's name, a number, or a budget.

        Parameters
        ----------
        threads, engine : what a budget's latency and memory are measured with
        """
        ...

    def session(self, threads: int = 1, engine: str = "auto") -> AbstractContextManager[Running]:
        """The network in the engine."""
        ...


Sized = TypeVar("Sized", bound=Runnable)
"""A kind of network; resizing leads to another of the same kind."""
