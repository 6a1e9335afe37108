"""One training in several processes, each with a copy of the network and a part of every batch."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, slots=True)
class Replica:
    """Which of how many processes this is; torch's process group is up where there are several.

    Attributes:
        rank: Number of this process, from 0.
        processes: How many train together.
    """

    rank: int
    processes: int

    def share(self, images: int) -> tuple[int, int]:
        """(first, count) of this process's part of a batch; parts differ by one image at most.

        Raises:
            ValueError: There are fewer images than processes.
        """
        if images < self.processes:
            raise ValueError(f"a batch of {images} cannot be shared by {self.processes} processes")
        first = images * self.rank // self.processes
        return first, images * (self.rank + 1) // self.processes - first

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network as all processes train it: their gradients are averaged.

        Its weights become those of rank 0.
        """
        if self.processes == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False)

    def gradients(self, network: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
        """Around a pass and its gradients: processes exchange those after the last part only."""
        if isinstance(network, DistributedDataParallel) and not is_last:
            return network.no_sync()
        return nullcontext()

    def total(self, value: Tensor) -> Tensor:
        """Sum of ``value`` over all processes."""
        if self.processes > 1:
            distributed.all_reduce(value)
        return value


ONE_PROCESS = Replica(rank=0, processes=1)
