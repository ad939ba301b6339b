"""Cross entropy plus a term that compares logits with the labels around each pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ._computed import computed_with_gradient
from ._normalisation import inverse
from ._samples import Samples
from ._windows import LabelWindows
from .backends.threads import buffers, run_tiles
from .backends.tiles import DEVICE_ELEMENTS, TILE

__all__ = ["Rows", "WindowLoss", "WindowTerm", "row_tiles", "window_loss"]


class Rows(NamedTuple):
    """Some rows of an image of a batch."""

    image: int
    rows: slice


class WindowTerm(Protocol):
    """A term per pixel and class for :func:`window_loss`."""

    def __call__(
        self,
        place: Rows,
        logits: Tensor,
        shares: Tensor,
        weight: Tensor,
        gradient: Tensor | None,
        spare: Sequence[Tensor],
    ) -> Tensor:
        """Sum the weighted terms over some rows of an image.

        Args:
            place: The rows.
            logits: (K, rows, W), 0 where a pixel is void.
            shares: Shares of the labels in the windows, of the same shape; may be overwritten.
            weight: Weights of the pixels, (rows, W), 0 where a pixel is void.
            gradient: Tensor of the logits' shape to add the gradient to. None if no gradient is
                needed.
            spare: Three tensors of the logits' shape to compute in.

        Returns:
            Scalar.
        """


class WindowLoss(NamedTuple):
    """A loss and its detached parts."""

    loss: Tensor
    cross_entropy: Tensor
    """Cross entropy, averaged."""
    term: Tensor
    """The term times its scale."""


def window_loss(
    samples: Samples,
    windows: LabelWindows,
    term: WindowTerm,
    scale: float | Tensor | None,
    weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
) -> WindowLoss:
    """Mean cross entropy of the valid pixels plus another term of them.

    Value and gradient are computed for bands of rows, so that only the gradient has the size of the
    logits.

    Args:
        samples: Images (N, K, H, W) with labels.
        windows: The windows of those labels.
        term: The term.
        scale: Factor of the term of each pixel. None means that of its cross entropy, including
            weights.
        weight: Weights of the pixels' cross entropy, (N, H, W).
        avg_factor: Divisor of the summed cross entropy, instead of the number of valid pixels.
    """
    logits = samples.logits
    entropy_scale = inverse(samples.num_valid if avg_factor is None else avg_factor)
    ones = logits.new_ones(samples.target.shape)
    entropy_weight = samples.keep(ones, weight) * entropy_scale
    term_weight = entropy_weight if scale is None else samples.keep(ones) * scale
    places = row_tiles(logits)
    parts: list[Tensor] = []

    def compute(inputs: Tensor, gradient: Tensor | None) -> Tensor:
        sums: list[tuple[Tensor, Tensor]] = [(ones, ones)] * len(places)

        def make_worker() -> Callable[[int], None]:
            def worker(number: int) -> None:
                image, rows = place = places[number]
                z = inputs[image, :, rows]
                labelled, shares, *spare = buffers(5, z, z.dtype)
                if samples.valid is not None:
                    void = ~samples.valid[image, rows]
                    z = labelled.copy_(z).masked_fill_(void, 0) if bool(void.any()) else z
                slope = None if gradient is None else gradient[image, :, rows]
                windows.shares(image, rows, out=shares)
                entropy = _cross_entropy(
                    z, samples.target[image, rows], entropy_weight[image, rows], spare[0], slope
                )
                weights = term_weight[image, rows]
                sums[number] = (entropy, term(place, z, shares, weights, slope, spare))

            return worker

        if places:
            run_tiles(make_worker, len(places), inputs[0, :, places[0].rows])
        elif gradient is not None:
            gradient.zero_()
        totals = [torch.stack(part).sum().to(inputs.dtype) for part in zip(*sums, strict=True)]
        parts[:] = totals or [ones.sum(), ones.sum()]
        return parts[0] + parts[1]

    loss = computed_with_gradient(logits, compute)
    return WindowLoss(loss, parts[0].clone(), parts[1].clone())


def row_tiles(logits: Tensor) -> list[Rows]:
    """Split each image of (N, K, H, W) into bands of rows that fit into the cache."""
    images, classes, height, width = logits.shape
    if not logits.numel():
        return []
    limit = TILE if logits.device.type == "cpu" else DEVICE_ELEMENTS
    size = max(1, limit // (classes * width))
    return [
        Rows(image, slice(start, min(start + size, height)))
        for image in range(images)
        for start in range(0, height, size)
    ]


def _cross_entropy(
    z: Tensor, target: Tensor, weight: Tensor, probability: Tensor, gradient: Tensor | None
) -> Tensor:
    """Weighted sum of the cross entropies of (K, rows, W); also writes the gradient."""
    label = target.unsqueeze(0)
    top = z.amax(0, keepdim=True)
    total = torch.sub(z, top, out=probability).exp_().sum(0, keepdim=True)
    entropy = total.log() + top - z.gather(0, label)
    if gradient is not None:
        torch.mul(probability, weight / total, out=gradient)
        gradient.scatter_add_(0, label, -weight.unsqueeze(0))
    return (entropy.squeeze(0) * weight).sum(dtype=torch.float64)
