"""What a program holds: a bundle, and its network at one size.

The floors below do the work; here they become one interface.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .budget.budget import Budget
from .budget.search import Choice, search
from .files import write_atomically
from .format.container import Container, open_file
from .format.manifest import Manifest, evaluate
from .format.stores import TensorStore
from .model_cache import ModelCache
from .sampling.ms_writer import as_float16, check_weight_type, pack, packed_size
from .sampling.plan import Plan, make_plan
from .sampling.weights import SampledWeights
from .session import Session


class Bundle(Container):
    """An opened bundle. Its structure has been checked; tensor values are checked at their first use.

    Attributes
    ----------
    source : the file's name, used in messages
    manifest : the parsed manifest
    cache : where resampled models are kept, None for nowhere
    """

    def __init__(
        self,
        manifest: Manifest,
        store: TensorStore,
        source: str,
        cache: ModelCache | None = None,
        allow_primitives: Collection[int] = (),
    ) -> None:
        super().__init__(manifest, store, source, allow_primitives)
        self.cache = cache

    def resample(
        self, size: float | str | Budget, *, weights: str = "float32", threads: int = 1, engine: str = "auto"
    ) -> Model:
        """The network at a size. No weight is computed yet.

        Parameters
        ----------
        size : a preset's name, a number in (0, 1], or a budget: then the largest size within it
        weights : ``float32`` or ``float16`` (half the `.ms` file, the same speed) in the model
        threads, engine : what a budget's latency and memory are measured with, see `Model.session`

        Raises
        ------
        UsageError : unknown preset, a size outside the bundle's range, a budget that no size keeps
        EngineError : MindSpore Lite is missing or failed while a budget was measured
        """
        if isinstance(size, Budget):
            size = choose(self, size, weights=weights, threads=threads, engine=engine).size
        return Model(self, make_plan(self.manifest, size), weights)


def open_bundle(
    path: str | os.PathLike[str], cache: ModelCache | None = None, allow_primitives: Collection[int] = ()
) -> Bundle:
    """Open a bundle: read the header, check its structure and its graph; no tensor is read yet.

    Parameters
    ----------
    cache : keeps resampled models on disk for the next process
    allow_primitives : numbers of primitives that the graph may hold though this runtime has no rule for
        them. Nothing keeps such a node from ending the process: only for files that you trust

    Raises
    ------
    UsageError : there is no such file, or it cannot be read
    BundleError : it is no bundle, is damaged or of another version
    """
    return Bundle(*open_file(path), cache, allow_primitives)


def choose(
    bundle: Bundle,
    budget: Budget,
    *,
    weights: str = "float32",
    threads: int = 1,
    engine: str = "auto",
    remeasure: bool = False,
) -> Choice:
    """The largest size within a budget, and what was found out about the others.

    Latency and memory are measured where this device's profile does not hold them yet.

    Parameters
    ----------
    weights, threads, engine : what is measured, and how it is run
    remeasure : do not trust the profile

    Raises
    ------
    UsageError : no size keeps every bound; says which fails and the nearest that holds
    EngineError : MindSpore Lite is missing or failed
    """
    from .budget.profile import DeviceProfile  # which imports much that only measuring needs

    check_weight_type(weights)
    profile = DeviceProfile(bundle, threads, engine, weights, remeasure)
    return search(bundle.manifest, budget, profile, bundle.source, weights)


class Model:
    """A resized network. Cheap to make: weights are sampled when its bytes are asked for.

    Attributes
    ----------
    bundle : where it comes from
    plan : the size, the widths of all channel groups, the calibrated data used
    weights : ``float32`` or ``float16``, the type of the weights in the `.ms` model
    """

    def __init__(self, bundle: Bundle, plan: Plan, weights: str = "float32") -> None:
        check_weight_type(weights)
        bundle.graph_rules.check(plan.widths)
        self.bundle = bundle
        self.plan = plan
        self.weights = weights
        self._sampled = SampledWeights(bundle, plan)

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    @property
    def size(self) -> float:
        """The size that is built; see `Plan.requested` for the one asked for."""
        return self.plan.size

    @property
    def name(self) -> str:
        """The preset's name, or the size as a number."""
        return self.plan.preset or f"{self.plan.size:g}"

    @property
    def is_safe(self) -> bool:
        """Whether the measured curve says that this size still stands in for the original network."""
        return self.size >= float(self.manifest.curve.get("safe_from") or 0.0)

    @cached_property
    def parameters(self) -> int:
        """Number of weights and biases."""
        shapes = (weight.shape(self.plan.widths) for weight in self.manifest.weights)
        return sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one image's convolutions and matrix products (FLOPs are twice that)."""
        return evaluate(self.manifest.macs, self.plan.widths)

    @cached_property
    def model_bytes(self) -> int:
        """Size of the `.ms` model, found without sampling any weight."""
        return packed_size(self.manifest, self.plan.widths, self.weights)

    def weight(self, index: int) -> npt.NDArray[np.float32]:
        """Weight ``index`` of the manifest at this size, in the engine's layout."""
        shape = self.manifest.weights[index].shape(self.plan.widths)
        blocks = [np.atleast_1d(block) for block in self.blocks(index)]
        return np.concatenate(blocks).astype(np.float32, copy=False).reshape(shape)

    def blocks(self, index: int) -> Iterator[npt.NDArray[np.float32]]:
        """Weight ``index`` a block of rows at a time, see `SampledWeights.blocks`."""
        return self._sampled.blocks(index)

    def to_bytes(self) -> memoryview:
        """The `.ms` model; the same bundle, size and machine give the same bytes.

        Weights are sampled a block at a time straight into one buffer of the model's size.
        """
        cache = self.bundle.cache
        if cache is None:
            return self._pack()
        key = (self.bundle.fingerprint, self.plan.size, self.plan.widths, self.weights)
        return cache.content(key, self._pack)

    def _pack(self) -> memoryview:
        return pack(self.manifest, self.plan.widths, self.blocks, self.weights)

    def to_engine_bytes(self) -> memoryview:
        """The same model for this process's engine: float16 weights are rounded, but stored as float32.

        MindSpore Lite 2.0.0 widens them anyway, and refuses most float16 models in a process that has freed
        one before.
        """
        if self.weights == "float32":
            return self.to_bytes()

        def rounded(index: int) -> Iterator[npt.NDArray[np.float32]]:
            name = self.manifest.weights[index].name
            return (block.astype(np.float32) for block in as_float16(self.blocks(index), name))

        return pack(self.manifest, self.plan.widths, rounded)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the `.ms` model atomically; returns its number of bytes."""
        content = self.to_bytes()
        write_atomically(path, content)
        return len(content)

    def check_batch(self, batch: int) -> None:
        """BundleError where the graph does not fit so many images at a time."""
        self.bundle.graph_rules.check(self.plan.widths, batch)

    def resized(self, size: float | str | Budget, *, threads: int = 1, engine: str = "auto") -> Model:
        """The bundle's network at another size, with the same type of weights; see `Bundle.resample`."""
        return self.bundle.resample(size, weights=self.weights, threads=threads, engine=engine)

    def session(self, threads: int = 1, engine: str = "auto") -> Session[Model]:
        """Build the model in MindSpore Lite; see `inn_runtime.engine` for the engines."""
        return Session(self, threads=threads, engine=engine)
