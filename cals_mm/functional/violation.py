"""The constraint of CALS: how far each logit lies below the largest one."""

from __future__ import annotations

from torch import Tensor

__all__ = ["check_margin", "margin_violation"]


def check_margin(margin: float) -> float:
    """Return ``margin`` as a float if it is valid.

    Raises:
        ValueError: If the margin is not a positive finite number.
    """
    if isinstance(margin, (bool, str)) or not 0 < float(margin) < float("inf"):
        raise ValueError(
            f"margin must be a positive finite number of logit units, got {margin!r}; "
            "10 is the paper's choice, smaller values calibrate more strongly"
        )
    return float(margin)


def margin_violation(logits: Tensor, margin: float, dim: int = 1) -> Tensor:
    r"""Violation of the margin constraint, normalised by the margin.

    .. math:: h_k(z) = \frac{\max_j z_j - z_k - m}{m}

    Positive where the logit distance exceeds the margin; the arg-max class has -1. The result
    does not change when a constant is added to all logits of a sample, so log-probabilities
    give the same violation as logits.

    Args:
        logits: Scores of any floating dtype, classes along ``dim``, e.g. (N, K) or (N, K, H, W).
        margin: Largest admissible logit distance m > 0, in logit units.
        dim: The class dimension.

    Returns:
        Tensor of the shape and dtype of ``logits``.

    Raises:
        ValueError: If the margin is not positive.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3.

    Example:
        >>> import torch
        >>> margin_violation(torch.tensor([[4.0, 2.0, 0.0]]), margin=2.0)
        tensor([[-1.,  0.,  1.]])
    """
    margin = check_margin(margin)
    return (logits.amax(dim, keepdim=True) - logits - margin) / margin
