"""The fused loss in plain torch: chunks of samples that pass through the cache once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .chunk_kernel import Chunk, ChunkKernel, ChunkSums
from .problem import LossProblem, LossSums, PreparedLoss
from .threads import run_tiles
from .tiles import dense, split

__all__ = ["ChunkedLoss"]


class ChunkedLoss:
    """Losses in which only the logits need a gradient, on the CPU and on CUDA."""

    name = "chunked"

    def covers(self, problem: LossProblem) -> bool:
        """Whether there are samples, and no gradient that needs autograd."""
        return problem.fusable

    def run(
        self, problem: PreparedLoss, *, with_gradient: bool, gradient_unit: float | Tensor = 1.0
    ) -> tuple[LossSums, Tensor | None]:
        """Compute the loss, and its gradient by the logits, in one pass over the logits.

        Args:
            problem: The loss.
            with_gradient: Whether to compute the gradient.
            gradient_unit: Divisor of the gradient.

        Returns:
            Sums, and the gradient in the shape, dtype and (where dense) strides of the logits.
        """
        logits = problem.logits
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        problem = problem._replace(logits=dense(logits))
        gradient = torch.empty_like(problem.logits) if with_gradient else None
        chunks = _chunks(problem, gradient)
        problem = problem._replace(logits=chunks[0].logits)  # the kernel depends on their rank
        sums: list[ChunkSums | None] = [None] * len(chunks)

        def make_worker() -> Callable[[int], None]:
            kernel = ChunkKernel(problem, dtype, gradient_unit)

            def worker(number: int) -> None:
                sums[number] = kernel(chunks[number])

            return worker

        run_tiles(make_worker, len(chunks), problem.logits)
        # In float64 and in the order of the chunks, so independent of threads.
        entropy, penalty, violated = (
            torch.stack(part).sum(dtype=torch.float64) for part in zip(*sums, strict=True)
        )
        scaled = LossSums(
            entropy * problem.entropy_scale, penalty * problem.penalty_scale, violated
        )
        return scaled, gradient


def _chunks(problem: PreparedLoss, gradient: Tensor | None) -> list[Chunk]:
    logits = split(problem.logits, problem.logits)
    others = (problem.target, problem.valid, problem.sample_weight, gradient)
    columns = [
        [None] * len(logits) if part is None else split(part, problem.logits) for part in others
    ]
    return [Chunk(*items) for items in zip(logits, *columns, strict=True)]
