"""The kernel calibration error of a batch, exact in O(N log N)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ._computed import computed_with_gradient

__all__ = ["MMCEForm", "check_form", "check_kernel_width", "maximum_mean_calibration_error"]

MMCEForm = Literal["squared", "root", "weighted"]

MIN_WIDTH = 0.01
"""Smallest kernel width, for which exp(1 / width) stays far below the largest float64."""


def check_kernel_width(width: float) -> float:
    """Return the kernel width as a float if it is valid.

    Raises:
        ValueError: If it is too small, or not finite.
    """
    if isinstance(width, bool) or not MIN_WIDTH <= float(width) < float("inf"):
        raise ValueError(f"kernel_width must be at least {MIN_WIDTH} and finite, got {width!r}")
    return float(width)


def check_form(form: MMCEForm) -> MMCEForm:
    """Return the form if it exists.

    Raises:
        ValueError: For an unknown form.
    """
    if form not in get_args(MMCEForm):
        raise ValueError(f"form must be 'squared', 'root' or 'weighted', got {form!r}")
    return form


def maximum_mean_calibration_error(
    confidence: Tensor,
    correct: Tensor,
    *,
    form: MMCEForm = "squared",
    kernel_width: float = 0.4,
) -> Tensor:
    r"""Mean calibration residual in the space of a Laplacian kernel: its norm or squared norm.

    .. math:: MMCE^2 = \sum_{i,j} a_i a_j e^{-|r_i - r_j| / w},
              \qquad a_i = \frac{c_i - r_i}{N}

    with confidences r, correctness c and kernel width w. The form 'squared' is this value, 'root'
    its square root. In 'weighted', also a square root, :math:`a_i` is divided by the number of
    correct or of wrong samples instead, whichever group i belongs to; it is 0 if one of the groups
    is empty, so that a batch without errors is not pushed to higher confidence.

    For samples sorted by confidence the kernel is a product of one factor per sample, so prefix
    sums replace the N x N matrix, and the result equals the double sum up to rounding. Samples of
    equal confidence exert no force on each other through the kernel. Sums are in float64.

    Args:
        confidence: Largest probabilities r, (N,) floating, in [0, 1]; they receive the gradient,
            through the residuals and through the kernel.
        correct: Whether the prediction is correct, (N,) bool.
        form: 'squared', 'root' or 'weighted'.
        kernel_width: Width w, at least 0.01.

    Returns:
        Scalar of the dtype of ``confidence``, >= 0; 0 with a zero gradient without samples.
        Differentiable once.

    Raises:
        ValueError: For shapes that do not fit, an unknown form or a smaller kernel width.

    Reference:
        Kumar, Sarawagi and Jain, Trainable Calibration Measures for Neural Networks from Kernel
        Mean Embeddings, ICML 2018, Sections 3 and 4.

    Example:
        >>> import torch
        >>> maximum_mean_calibration_error(torch.tensor([0.75, 0.75]), torch.tensor([True, False]))
        tensor(0.0625)
    """
    if confidence.ndim != 1 or confidence.shape != correct.shape:
        raise ValueError(
            f"confidence and correct must both be (N,), got {tuple(confidence.shape)} and "
            f"{tuple(correct.shape)}"
        )
    check_form(form)
    kernel_width = check_kernel_width(kernel_width)
    if not confidence.numel():
        return confidence.sum()

    def compute(values: Tensor, gradient: Tensor | None) -> Tensor:
        divisor = _divisor(correct, form)
        square = _square(values, correct, divisor, kernel_width, gradient)
        if form == "squared":
            return square.to(values.dtype)
        # A square root has an infinite slope at 0, but 0 is a subgradient of a norm there.
        root = square.clamp(min=0).sqrt()
        if gradient is not None:
            gradient.mul_(torch.where(root > 0, 0.5 / root, 0).to(gradient.dtype))
        return root.to(values.dtype)

    return computed_with_gradient(confidence, compute)


def _divisor(correct: Tensor, form: MMCEForm) -> float | Tensor:
    """Divisor of the residuals, () or (N,); infinity if they are not counted."""
    if form != "weighted":
        return float(correct.numel())
    right = correct.sum().double() if correct.device.type != "mps" else correct.sum().float()
    wrong = correct.numel() - right
    both = (right > 0) & (wrong > 0)
    return torch.where(both, torch.where(correct, right, wrong), torch.inf)


def _square(
    confidence: Tensor,
    correct: Tensor,
    divisor: float | Tensor,
    width: float,
    gradient: Tensor | None,
) -> Tensor:
    """The double sum; also writes its gradient."""
    r, order = confidence.sort()
    # Metal has no float64.
    r = r if r.device.type == "mps" else r.double()
    divisor = divisor[order] if isinstance(divisor, Tensor) else divisor
    residual = (correct[order].to(r.dtype) - r) / divisor

    # Samples of equal confidence form a group, with its first index and the one after its last.
    new = torch.ones_like(order, dtype=torch.bool)
    torch.ne(r[1:], r[:-1], out=new[1:])
    starts = new.nonzero().squeeze(1)
    group = new.cumsum(0) - 1
    ends = torch.cat([starts[1:], starts.new_tensor([len(r)])])
    first, last = starts[group], ends[group]

    up, down = (r / width).exp(), (-r / width).exp()
    summed = _prefix_sums(residual)
    tied = summed[last] - summed[first]
    below = down * _prefix_sums(residual * up)[first]
    # Summed from the far end, since a difference of two prefix sums would cancel.
    above = up * _prefix_sums((residual * down).flip(0))[len(r) - last]
    if gradient is not None:
        slope = -(tied + below + above) / divisor - residual * (below - above) / width
        gradient[order] = slope.mul_(2).to(gradient.dtype)
    return (residual * (tied + 2 * below)).sum()


def _prefix_sums(values: Tensor) -> Tensor:
    """Sums of the first 0, 1, ..., N values, (N + 1,)."""
    return torch.cat([values.new_zeros(1), values.cumsum(0)])
