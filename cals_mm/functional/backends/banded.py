"""The loss of resized logits in plain torch, in bands of rows.

Only one band at a time is resized. It is used where the compiled kernel cannot be, and on CUDA,
where the Triton kernel computes the loss of each band.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._resize import axis_matrix, interpolate_axis, source_positions
from .chunk_kernel import Chunk, ChunkKernel
from .problem import LossSums, PreparedLoss
from .resized import ResizedProblem, ResizedSums, count_correct, precise
from .threads import run_tiles
from .tiles import DEVICE_ELEMENTS, TILE

__all__ = ["banded_resized_loss"]

FEW_ROWS = 4
"""Smallest number of source rows in a band; each band also adds to a row of the next one."""

LossOf = Callable[[PreparedLoss, Tensor | None], LossSums]
"""Computes the loss of a band, and writes its gradient to the second argument."""


class Band(NamedTuple):
    """Output rows between some source rows, of some images."""

    images: slice
    source: slice
    """Rows of the logits, including the next one, which the last output rows depend on."""
    output: range


def banded_resized_loss(
    problem: ResizedProblem, *, with_gradient: bool, triton: bool = False
) -> tuple[ResizedSums, Tensor | None]:
    """Compute the loss, and its gradient by the logits before resizing.

    Args:
        problem: The loss.
        with_gradient: Whether to compute the gradient.
        triton: Whether to compute the loss of a band with the Triton kernel.

    Returns:
        Float64 sums, and the gradient (N, K, h, w) in the dtype of the logits.
    """
    logits = precise(problem.loss.logits.detach())
    bands = _bands(problem)
    sums: list[tuple[Tensor, ...] | None] = [None] * len(bands)
    gradients: list[Tensor | None] = [None] * len(bands)

    def make_worker() -> Callable[[int], None]:
        loss_of = _triton_loss if triton else _chunk_loss(problem.loss, logits)
        work = _BandWork(problem, logits, loss_of, with_gradient)

        def worker(number: int) -> None:
            sums[number], gradients[number] = work(bands[number])

        return worker

    with _exact_products(logits.device):
        run_tiles(make_worker, len(bands), logits)
    entropy, penalty, violated, correct = (
        torch.stack([part.double() for part in parts]).sum() for parts in zip(*sums, strict=True)
    )
    gradient = torch.zeros_like(logits) if with_gradient else None
    for band, part in zip(bands, gradients, strict=True):
        if gradient is not None and part is not None:
            gradient[band.images, :, band.source] += part
    sums_of_all = ResizedSums(entropy, penalty, violated, correct)
    return sums_of_all, None if gradient is None else gradient.to(problem.loss.logits.dtype)


class _BandWork:
    """Computes bands; each thread has its own instance."""

    def __init__(
        self, problem: ResizedProblem, logits: Tensor, loss_of: LossOf, with_gradient: bool
    ) -> None:
        self.problem, self.logits = problem.loss, logits
        self.loss_of, self.with_gradient = loss_of, with_gradient
        height, width = problem.size
        options = (problem.align_corners, logits.dtype)
        positions = [
            source_positions(source, output, *options)
            for source, output in ((logits.shape[2], height), (logits.shape[3], width))
        ]
        device = logits.device
        self.rows, self.columns = ((i.to(device).long(), s.to(device)) for i, s in positions)
        # The gradient uses products with the transpose, always in the same order.
        self.down = axis_matrix(logits.shape[2], height, *options, device)
        self.across = axis_matrix(logits.shape[3], width, *options, device)

    def __call__(self, band: Band) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Sums over the band, and the gradient by its source rows."""
        filled = interpolate_axis(self.logits[band.images, :, band.source], *self.columns, dim=-1)
        to_filled = torch.zeros_like(filled) if self.with_gradient else None
        images, classes, _, width = filled.shape
        several = max(1, _elements(filled) // (images * classes * width))
        total: tuple[Tensor, ...] | None = None
        for start in range(band.output.start, band.output.stop, several):
            rows = slice(start, min(start + several, band.output.stop))
            index, share = self.rows[0][rows] - band.source.start, self.rows[1][rows]
            logits = interpolate_axis(filled, index, share, dim=-2)
            problem = self._of(band.images, rows, logits)
            gradient = torch.empty_like(logits) if self.with_gradient else None
            sums = self.loss_of(problem, gradient)
            correct = count_correct(logits, problem.target, problem.valid)
            parts: tuple[Any, ...] = (*sums, correct)
            total = parts if total is None else tuple(map(torch.add, total, parts))
            if to_filled is not None and gradient is not None:
                to_filled += self.down[rows, band.source].T @ gradient
        assert total is not None
        return total, None if to_filled is None else to_filled @ self.across

    def _of(self, images: slice, rows: slice, logits: Tensor) -> PreparedLoss:
        def part(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[images, rows]

        target = self.problem.target[images, rows]
        return self.problem._replace(
            logits=logits,
            target=target,
            valid=part(self.problem.valid),
            sample_weight=part(self.problem.sample_weight),
        )


def _bands(problem: ResizedProblem) -> list[Band]:
    """Divide into bands by size only, so that results do not depend on the number of threads."""
    logits = problem.loss.logits
    images, classes, source, _ = logits.shape
    height, width = problem.size
    on_cpu = logits.device.type == "cpu"
    together = 1 if on_cpu else images
    several = max(FEW_ROWS, _elements(logits) // (together * classes * width))
    index = source_positions(source, height, problem.align_corners, torch.float32)[0].tolist()
    bands = []
    for image in range(0, images, together):
        for first in range(0, source, several):
            end = min(first + several, source)
            output = range(bisect_left(index, first), bisect_left(index, end))
            if output:
                bands.append(Band(slice(image, image + together), slice(first, end + 1), output))
    return bands


def _elements(like: Tensor) -> int:
    return TILE if like.device.type == "cpu" else DEVICE_ELEMENTS


def _chunk_loss(problem: PreparedLoss, logits: Tensor) -> LossOf:
    weight = problem.class_weight
    if weight is not None:
        problem = problem._replace(class_weight=weight.to(logits.dtype))
    kernel = ChunkKernel(problem._replace(logits=logits.flatten(2)), logits.dtype, 1.0)

    def loss_of(band: PreparedLoss, gradient: Tensor | None) -> LossSums:
        def column(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.flatten(1).unsqueeze(1)

        target = band.target.flatten(1).unsqueeze(1)
        sums = kernel(
            Chunk(
                band.logits.flatten(2),
                target,
                column(band.valid),
                column(band.sample_weight),
                None if gradient is None else gradient.view(*gradient.shape[:2], -1),
            )
        )
        scales = band.entropy_scale, band.penalty_scale
        return LossSums(sums.entropy * scales[0], sums.penalty * scales[1], sums.violated)

    return loss_of


def _triton_loss(band: PreparedLoss, gradient: Tensor | None) -> LossSums:
    from .triton_loss import triton_loss  # Triton is optional and slow to import

    sums, computed = triton_loss(band, with_gradient=gradient is not None)
    if gradient is not None and computed is not None:
        gradient.copy_(computed)
    return sums


@contextmanager
def _exact_products(device: torch.device) -> Iterator[None]:
    """Disable TensorFloat-32 for matrix products in the block."""
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    # torch 2.9 has a new name for this flag.
    new = hasattr(matmul, "fp32_precision")
    name, exact = ("fp32_precision", "ieee") if new else ("allow_tf32", False)
    before = getattr(matmul, name)
    setattr(matmul, name, exact)
    try:
        yield
    finally:
        setattr(matmul, name, before)
