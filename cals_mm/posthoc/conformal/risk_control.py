"""A confidence threshold that bounds the error among accepted pixels, by conformal risk control."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .accepted_errors import AcceptedErrors, doubt_of

__all__ = ["RiskThreshold", "control_risk"]


class RiskThreshold(NamedTuple):
    """A fitted threshold; :func:`control_risk` says what it guarantees."""

    risk: float
    """The bound, a fraction."""
    threshold: float
    """Pixels whose largest probability is at least this are accepted; inf accepts none."""
    min_share: float
    """Smallest divisor of an image's errors, as a share of its valid pixels."""
    images: int
    """Held-out images."""

    def accept(self, logits: Tensor, *, probabilities: bool = False) -> Tensor:
        """Return the mask of accepted pixels.

        Args:
            logits: (N, K, H, W) floating: logits, or probabilities if ``probabilities`` is true.
            probabilities: ``logits`` holds probabilities.

        Returns:
            (N, H, W) bool.
        """
        rows = logits.movedim(1, -1)
        doubt, _ = doubt_of(rows.flatten(0, -2), probabilities)
        return (doubt <= 1 - self.threshold).reshape(rows.shape[:-1])

    def reached(self, errors: AcceptedErrors) -> dict[str, float]:
        """Evaluate the threshold on other images.

        Returns:
            ``error``, the mean over images of the controlled error; ``range_low`` and
            ``range_high``, its 95 % range on as many images if the bound is just met, by a normal
            approximation; ``pooled_error``, the error of all accepted pixels together, which is not
            controlled; ``accepted``, the accepted share of all pixels.

        Raises:
            ValueError: Without images.
        """
        count = len(errors.accepted)
        if not count:
            raise ValueError("no image has a valid pixel")
        valid = errors.accepted[:, 0].sum()
        if math.isinf(self.threshold):
            error, accepted, wrong = torch.zeros(count).double(), valid * 0, valid * 0
        else:
            level = int((errors.thresholds - self.threshold).abs().argmin())
            error = _losses(errors, self.min_share)[:, level]
            accepted, wrong = errors.accepted[:, level].sum(), errors.wrong[:, level].sum()
        spread = float(error.std()) if count > 1 else math.nan
        half = 1.96 * spread * math.sqrt(1 / count + 1 / self.images)
        return {
            "error": float(error.mean()),
            "range_low": 0.0,
            "range_high": self.risk + half,
            "pooled_error": float(wrong / accepted) if accepted else 0.0,
            "accepted": float(accepted / valid),
        }

    def to_dict(self) -> dict[str, Any]:
        """The values by name, for a checkpoint."""
        return self._asdict()


def control_risk(
    errors: AcceptedErrors, risk: float = 0.01, min_share: float = 0.01
) -> RiskThreshold:
    """Find the smallest confidence threshold that bounds the error among accepted pixels.

    In an image with v valid pixels, a threshold t accepts a(t) pixels, of which w(t) are wrong. The
    loss of the image is the error among its accepted pixels,

        L(t) = w(t) / max(a(t), min_share * v),

    where the divisor is at least the share ``min_share`` of the valid pixels, so that a few
    confident pixels do not decide. Risk control requires a loss that decreases with t, but this
    ratio may increase, so it is replaced by its maximum over t and all stricter thresholds. The
    result is the smallest t among the thresholds of ``errors`` with

        (sum over the n held-out images of max_{t' >= t} L(t')  +  1) / (n + 1)  <=  risk.

    Guarantee: if the held-out images and a new one are exchangeable, and the model was fitted to
        neither, then E[L(t)] <= risk for the new image. The expectation is over the held-out images
        and the new one; pixels of an image may depend on each other in any way. There is no
        guarantee for single images or classes, nor for the error of accepted pixels pooled over
        images.

    At least 1 / risk - 1 images are needed. With fewer, or if the model is confidently wrong too
    often, no threshold satisfies the bound and no pixel is accepted.

    Args:
        errors: Counts of the held-out images.
        risk: The bound, a fraction in (0, 1).
        min_share: Share of an image's valid pixels, in [0, 1]; 0 gives the plain ratio.

    Returns:
        The threshold.

    Raises:
        ValueError: If the bound is outside (0, 1), the share is outside [0, 1], or there is no
            image.

    Reference:
        Angelopoulos, Bates, Fisch, Lei and Schuster, Conformal Risk Control, ICLR 2024 (arXiv
        2208.02814), Theorem 1; Section 2.3 for losses that are not monotone.

    Example:
        >>> errors = AcceptedErrors()
        >>> p = torch.tensor([[0.95, 0.6], [0.05, 0.4]]).reshape(1, 2, 1, 2)
        >>> for _ in range(40):  # the pixel of confidence 0.6 is wrong
        ...     _ = errors.update(p, torch.tensor([[[0, 1]]]), probabilities=True)
        >>> fitted = control_risk(errors, risk=0.05)
        >>> 0.6 < fitted.threshold < 0.95
        True
        >>> fitted.accept(p, probabilities=True)
        tensor([[[ True, False]]])
    """
    if not 0 < risk < 1:
        raise ValueError(f"risk must be between 0 and 1, got {risk}")
    if not 0 <= min_share <= 1:
        raise ValueError(f"min_share must be from 0 to 1, got {min_share}")
    losses = _losses(errors, min_share)
    count = len(losses)
    if not count:
        raise ValueError("no held-out image has a valid pixel")
    stricter = losses.flip(1).cummax(1).values.flip(1)
    kept = ((stricter.sum(0) + 1) / (count + 1) <= risk).nonzero()[:, 0]
    threshold = float(errors.thresholds[kept[0]]) if len(kept) else math.inf
    return RiskThreshold(risk, threshold, min_share, count)


def _losses(errors: AcceptedErrors, min_share: float) -> Tensor:
    """L of each image at each threshold, (n, thresholds) float64."""
    accepted = errors.accepted.double()
    return errors.wrong.double() / torch.maximum(accepted, min_share * accepted[:, :1]).clamp(min=1)
