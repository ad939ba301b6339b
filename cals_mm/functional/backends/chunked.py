"""The fused loss in plain torch: chunks of samples that pass through the cache once."""

from __future__ import annotations

import torch
from torch import Tensor

from .chunk_kernel import Chunk, ChunkKernel, ChunkSums
from .problem import LossProblem, LossSums
from .threads import SERIAL_ELEMENTS, run_chunks

__all__ = ["chunked_loss"]

DEVICE_ELEMENTS = 1 << 24
"""Elements of a chunk where every operation is a launch on an accelerator."""


def chunked_loss(
    problem: LossProblem, *, with_gradient: bool, gradient_unit: float | Tensor = 1.0
) -> tuple[LossSums, Tensor | None]:
    """Loss, and its gradient by the logits, in one pass over the logits.

    Args:
        problem: The loss.
        with_gradient: Whether to compute the gradient.
        gradient_unit: The gradient is divided by it.

    Returns:
        Sums, and the gradient in the shape, dtype and (where dense) strides of the logits.
    """
    logits = problem.logits
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    if not (logits.is_contiguous() or has_class_rows(logits)):
        problem = problem._replace(logits=logits.contiguous())
    gradient = torch.empty_like(problem.logits) if with_gradient else None
    on_cpu = logits.device.type == "cpu"
    chunks = _split(problem, gradient, SERIAL_ELEMENTS if on_cpu else DEVICE_ELEMENTS)
    problem = problem._replace(logits=chunks[0].logits)  # whose rank the kernel goes by
    sums: list[ChunkSums | None] = [None] * len(chunks)

    def make_worker():
        kernel = ChunkKernel(problem, dtype, gradient_unit)

        def worker(number: int) -> None:
            sums[number] = kernel(chunks[number])

        return worker

    if on_cpu:
        run_chunks(make_worker, len(chunks))
    else:
        worker = make_worker()
        for number in range(len(chunks)):
            worker(number)
    # Float64, in the order of the chunks: the same whichever thread did what.
    entropy, penalty, violated = (
        torch.stack(part).sum(dtype=torch.float64) for part in zip(*sums, strict=True)
    )
    scaled = LossSums(entropy * problem.entropy_scale, penalty * problem.penalty_scale, violated)
    return scaled, gradient


def _split(problem: LossProblem, gradient: Tensor | None, limit: int) -> list[Chunk]:
    """Views of at most about ``limit`` logits, in which the classes are dimension 1."""
    logits = _pieces(problem.logits, problem.logits, limit)
    others = (problem.target, problem.valid, problem.sample_weight, gradient)
    columns = [
        [None] * len(logits) if part is None else _pieces(part, problem.logits, limit)
        for part in others
    ]
    return [Chunk(*items) for items in zip(logits, *columns, strict=True)]


def _pieces(part: Tensor, logits: Tensor, limit: int) -> list[Tensor]:
    channels = logits.shape[1] if part.ndim == logits.ndim else 1
    if has_class_rows(logits):
        rows = part.movedim(1, -1) if channels > 1 else part
        return list(rows.reshape(-1, channels).split(max(1, limit // logits.shape[1])))
    images = part.reshape(logits.shape[0], channels, -1)
    pixels = images.shape[2]
    fitting = max(16, limit // logits.shape[1] // 16 * 16)
    if pixels <= fitting:
        return list(images.split(max(1, limit // (logits.shape[1] * pixels))))
    count = -(-pixels // fitting)
    size = -(-pixels // (16 * count)) * 16  # of equal size, on vector boundaries
    return [piece for image in images.split(1) for piece in image.split(size, 2)]


def has_class_rows(logits: Tensor) -> bool:
    """Whether the classes of a sample lie side by side: (N, K), or channels last."""
    return logits.movedim(1, -1).is_contiguous()
