"""The kernel calibration error of a batch, exact in O(N log N)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_kernel_width", "maximum_mean_calibration_error"]

MIN_WIDTH = 0.01
"""Narrowest kernel: exp(1 / width) has to stay far from the largest float64."""


def check_kernel_width(width: float) -> float:
    """Return the kernel's width as a float, or say what is wrong with it.

    Raises:
        ValueError: If it is too small, or not finite.
    """
    if isinstance(width, bool) or not MIN_WIDTH <= float(width) < float("inf"):
        raise ValueError(f"kernel_width must be at least {MIN_WIDTH} and finite, got {width!r}")
    return float(width)


def maximum_mean_calibration_error(
    confidence: Tensor, correct: Tensor, *, weighted: bool = False, kernel_width: float = 0.4
) -> Tensor:
    r"""Norm of the mean calibration residual in the space of a Laplacian kernel.

    .. math:: MMCE^2 = \sum_{i,j} a_i a_j e^{-|r_i - r_j| / w},
              \qquad a_i = \frac{c_i - r_i}{N}

    with the confidences r, the correctness c and the kernel width w. ``weighted`` gives each of
    the two groups, correct and wrong, a mean of its own: the divisor of :math:`a_i` is then the
    size of the group that i belongs to, and a group without samples adds nothing.

    In the order of confidence the kernel is a product of a factor of each sample, so prefix sums
    replace the N x N matrix and the result is that of the double sum up to rounding. Samples of
    equal confidence push each other nowhere. Sums are float64.

    Args:
        confidence: Largest probabilities r, (N,) floating, in [0, 1]; the gradient goes to them,
            through the residuals and through the kernel.
        correct: Whether the prediction was right, (N,) bool.
        weighted: MMCE_w instead of MMCE.
        kernel_width: w, at least 0.01.

    Returns:
        MMCE, not its square: scalar of the dtype of ``confidence``, >= 0; 0 with a zero gradient
        where it vanishes or there is no sample.

    Raises:
        ValueError: For shapes that do not fit or a narrower kernel.

    Reference:
        Kumar, Sarawagi and Jain, Trainable Calibration Measures for Neural Networks from Kernel
        Mean Embeddings, ICML 2018, Sections 3 and 4.

    Example:
        >>> import torch
        >>> maximum_mean_calibration_error(torch.tensor([0.75, 0.75]), torch.tensor([True, False]))
        tensor(0.2500)
    """
    if confidence.ndim != 1 or confidence.shape != correct.shape:
        raise ValueError(
            f"confidence and correct must both be (N,), got {tuple(confidence.shape)} and "
            f"{tuple(correct.shape)}"
        )
    kernel_width = check_kernel_width(kernel_width)
    if not confidence.numel():
        return confidence.sum()
    # Metal has no float64.
    wide = confidence.float() if confidence.device.type == "mps" else confidence.double()
    ascending = wide.detach().argsort()
    wide, hit = wide[ascending], correct[ascending]
    residual = (hit.to(wide.dtype) - wide) / _divisor(hit, weighted)

    order = wide.detach().contiguous()
    first = torch.searchsorted(order, order)
    last = torch.searchsorted(order, order, right=True)
    summed = _prefix_sums(residual)
    tied = summed[last] - summed[first]
    below = _prefix_sums(residual * (wide / kernel_width).exp())[first]
    square = (residual * (tied + 2 * (-wide / kernel_width).exp() * below)).sum()
    # The slope of a square root at 0 is infinite, that of a norm has 0 among its subgradients.
    positive = square > 0
    root = torch.where(positive, square, 1).sqrt()
    return torch.where(positive, root, 0 * square).to(confidence.dtype)


def _divisor(correct: Tensor, weighted: bool) -> Tensor:
    """Number of samples of each sample's group, (N,)."""
    if not weighted:
        return torch.full_like(correct, correct.numel(), dtype=torch.int64)
    right = correct.sum()
    return torch.where(correct, right, correct.numel() - right)


def _prefix_sums(values: Tensor) -> Tensor:
    """Sums of the first 0, 1, ..., N values, (N + 1,)."""
    return torch.cat([values.new_zeros(1), values.cumsum(0)])
