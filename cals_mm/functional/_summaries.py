"""Cross entropy, confidence, entropy and class mass in one pass, with a tiled backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .backends.threads import buffers, run_tiles
from .backends.tiles import dense, split

__all__ = ["EPSILON", "Summaries", "summarise"]

EPSILON = 1e-10
"""Added to a probability before taking its logarithm in the entropy."""


class Summaries(NamedTuple):
    """Values per sample (N, ...) in the dtype of the logits; None if not requested."""

    cross_entropy: Tensor
    """-log p of the label, in nats."""
    confidence: Tensor | None
    """Largest probability."""
    entropy: Tensor | None
    """Entropy of the prediction, in nats."""
    mass: Tensor | None
    """Sum of each class's probability over the valid samples, (K,)."""
    correct: Tensor | None
    """Whether the label has the largest logit, the first of equal ones, bool."""


def summarise(
    logits: Tensor,
    target: Tensor,
    valid: Tensor | None = None,
    *,
    confidence: bool = False,
    entropy: bool = False,
    mass: bool = False,
) -> Summaries:
    """Compute the cross entropy of each sample, and other requested values.

    The backward recomputes the softmax, so that no further tensor of the size of the logits is
    kept; only their gradient has that size.

    Args:
        logits: (N, K, ...) float32 or float64.
        target: Labels (N, ...) int64 in 0..K-1, also where a sample is not valid.
        valid: (N, ...) bool, true for valid samples. None means all. Other samples get no gradient,
            and their values are undefined.
        confidence: Also return the confidence, whose gradient equal maxima share, and the
            correctness.
        entropy: Also return the entropy.
        mass: Also return the mass of each class.

    Returns:
        The summaries; differentiable once.

    Example:
        >>> import torch
        >>> summaries = summarise(torch.zeros(1, 4), torch.tensor([2]), entropy=True, mass=True)
        >>> print(f"{summaries.entropy.item():.4f}")
        1.3863
        >>> summaries.mass
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return Summaries(*_Summarise.apply(logits, target, valid, (confidence, entropy, mass)))


class _Summarise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, valid: Tensor | None, wanted: tuple[bool, ...]
    ) -> tuple[Tensor | None, ...]:
        ctx.save_for_backward(logits, target, valid)
        ctx.set_materialize_grads(False)
        logits = dense(logits)
        ask_confidence, ask_entropy, ask_mass = wanted
        values: list[Tensor | None] = [
            torch.empty(target.shape, dtype=logits.dtype, device=logits.device) if asked else None
            for asked in (True, ask_confidence, ask_entropy)
        ]
        correct = torch.empty(target.shape, dtype=torch.bool, device=logits.device)
        mass = torch.zeros(logits.shape[1], dtype=logits.dtype, device=logits.device)
        if logits.numel():
            tiles = _tiles(logits, target, valid, *values, correct if ask_confidence else None)
            masses: list[Tensor] = [mass] * len(tiles)

            def make_worker() -> Callable[[int], None]:
                def worker(number: int) -> None:
                    masses[number] = _summarise_tile(tiles[number], ask_mass)

                return worker

            run_tiles(make_worker, len(tiles), tiles[0][0])
            mass = torch.stack(masses).sum(0).to(logits.dtype) if ask_mass else mass
        if ask_confidence:
            ctx.mark_non_differentiable(correct)
        return *values, mass if ask_mass else None, correct if ask_confidence else None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor | None) -> Any:
        logits, target, valid = ctx.saved_tensors
        logits = dense(logits)
        gradient = torch.empty_like(logits)
        if logits.numel():
            per_sample = [None if slope is None else slope.contiguous() for slope in slopes[:3]]
            tiles = _tiles(logits, target, valid, *per_sample)
            parts = split(gradient, logits)

            def make_worker() -> Callable[[int], None]:
                return lambda number: _pull_back(tiles[number], slopes[3], parts[number])

            run_tiles(make_worker, len(tiles), tiles[0][0])
        return gradient, None, None, None


def _tiles(logits: Tensor, *parts: Tensor | None) -> list[tuple[Any, ...]]:
    first = split(logits, logits)
    rest = [
        [None] * len(first) if part is None else split(part.contiguous(), logits) for part in parts
    ]
    return list(zip(first, *rest, strict=True))


def _softmax(z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Write exp(z - max z) into p; return the maxima and the sums."""
    top = z.amax(1, keepdim=True)
    total = torch.sub(z, top, out=p).exp_().sum(1, keepdim=True)
    return top, total


def _summarise_tile(tile: tuple[Any, ...], ask_mass: bool) -> Tensor:
    z, target, valid, cross_entropy, confidence, entropy, correct = tile
    p, spare = buffers(2, z, z.dtype)
    top, total = _softmax(z, p)
    of_label = z.gather(1, target)
    torch.sub(total.log().add_(top), of_label, out=cross_entropy)
    if confidence is not None:
        torch.reciprocal(total, out=confidence)
        torch.eq(of_label, top, out=correct)
        # argmax is slow, and needed only if several logits are the largest.
        if int((z == top).sum()) > top.numel():
            torch.eq(z.argmax(1, keepdim=True), target, out=correct)
    if entropy is not None or ask_mass:
        p.div_(total)
    if entropy is not None:
        torch.sum(torch.add(p, EPSILON, out=spare).log_().mul_(p), 1, keepdim=True, out=entropy)
        entropy.neg_()
    if not ask_mass:
        return total
    if valid is not None:
        p.masked_fill_(~valid, 0)
    return p.sum([0, *range(2, p.ndim)], dtype=torch.float64)


def _pull_back(tile: tuple[Any, ...], mass: Tensor | None, gradient: Tensor) -> None:
    """Gradient of a tile: p_k (A_k - sum_j p_j A_j) for derivatives A by the probabilities."""
    z, target, valid, cross_entropy, confidence, entropy = tile
    p, slope = buffers(2, z, z.dtype)
    top, total = _softmax(z, p)
    p.div_(total)
    slope.zero_()
    if entropy is not None:
        torch.add(p, EPSILON, out=slope)
        slope.log_().add_(p / (p + EPSILON)).mul_(-entropy)
    if mass is not None:
        slope += mass.view(-1, *[1] * (z.ndim - 2))
    if confidence is not None:
        largest = z == top
        slope += largest * (confidence / largest.sum(1, keepdim=True))
    if any(each is not None for each in (entropy, mass, confidence)):
        slope -= torch.sum(slope * p, 1, keepdim=True)
    if cross_entropy is not None:
        slope += cross_entropy
    torch.mul(slope, p, out=gradient)
    if cross_entropy is not None:
        gradient.scatter_add_(1, target, -cross_entropy)
    if valid is not None:
        gradient.masked_fill_(~valid, 0)
