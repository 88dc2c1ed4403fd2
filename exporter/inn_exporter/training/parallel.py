"""Data-parallel tuning under MindSpore's own launcher, `msrun`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..backend import ops


class Group:
    """The processes that tune together; one alone without `msrun`."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        if launched_together():
            from mindspore.communication import get_group_size, get_rank, init

            init()
            self.rank, self.size = get_rank(), get_group_size()
            self._sum = ops().AllReduce()

    def mean(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Each tensor's mean over the processes."""
        if self.size == 1:
            return tuple(values)
        return tuple(self._sum(value) / self.size for value in values)


def is_first() -> bool:
    """Whether this process is the only one, or the first of several: the one that writes."""
    if not launched_together():
        return True
    from mindspore.communication import GlobalComm, get_rank

    return not GlobalComm.INITED or get_rank() == 0


def launched_together() -> bool:
    """Whether `msrun` started several processes for one export."""
    return int(os.environ.get("MS_WORKER_NUM", "1")) > 1
