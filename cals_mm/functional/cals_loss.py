"""Cross entropy plus the class-adaptive penalty, as one function."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor

from ._loss_operator import fused_loss
from ._normalisation import check_coefficients, check_logits_and_target, prepare
from .backends.eager import EagerLoss
from .backends.loss import choose_loss
from .backends.problem import LossParts, LossProblem
from .penalty import PenaltyKind, check_penalty
from .violation import check_margin

__all__ = ["LossParts", "cals_loss", "check_class_reduction", "check_shapes"]

ClassReduction = Literal["mean", "sum"]


def cals_loss(
    logits: Tensor,
    target: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float = 10.0,
    *,
    kind: PenaltyKind = "phr",
    ignore_index: int | None = -100,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    class_reduction: ClassReduction = "mean",
    penalty_weight: float = 1.0,
    sample_weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    return_parts: bool = False,
) -> Tensor | tuple[Tensor, LossParts]:
    r"""Cross entropy plus the penalty-Lagrangian of the margin constraints.

    .. math:: L = \frac1{|V|}\sum_{i \in V} CE(z_i, y_i)
              + \frac{w}{|V| K} \sum_{i \in V}\sum_k P(h_k(z_i); \lambda_k, \rho_k)

    V are the samples (or pixels) whose label is not ``ignore_index``. Arithmetic is in float32,
    also under autocast, or in float64 for float64 logits.

    Args:
        logits: (N, K) or (N, K, ...) floating.
        target: Labels (N, ...) int64, or class probabilities of the shape of ``logits``.
        multipliers: Lagrange multipliers lambda, (K,); they receive no gradient.
        rho: Penalty coefficients, (K,); they receive no gradient.
        margin: Largest admissible logit distance, in logit units.
        kind: Penalty function: 'phr', 'p2', 'p3' or 'relu'.
        ignore_index: Label to ignore. None ignores no label.
        class_weight: Weights (K,) of the cross entropy; its mean divides by their sum over the
            targets, as in ``torch.nn.functional.cross_entropy``.
        label_smoothing: Label smoothing of the cross entropy, a fraction in [0, 1].
        class_reduction: 'mean' over classes, as in the authors' code, where the pressure on each
            class falls as 1/K; or 'sum', which is K times stronger.
        penalty_weight: Factor of the penalty.
        sample_weight: Weights (N, ...) of the cross entropy only. The penalty remains the mean over
            all valid samples, as in the dual step.
        avg_factor: Divisor of the summed cross entropy, instead of its own mean.
        return_parts: Also return :class:`LossParts`.

    Returns:
        Scalar, or scalar and parts. Zero with a zero gradient if no sample is valid.

    Raises:
        ValueError: If shapes or labels do not fit, or for an invalid margin or penalty.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3.

    Example:
        >>> import torch
        >>> loss = cals_loss(torch.tensor([[12.0, 0.0]]), torch.tensor([0]),
        ...                  multipliers=torch.full((2,), 0.5), rho=torch.ones(2), margin=10.0)
        >>> print(f"{loss:.4f}")
        -0.0025
    """
    problem = LossProblem(
        logits,
        target,
        multipliers,
        rho,
        check_margin(margin),
        check_penalty(kind),
        ignore_index,
        class_weight,
        label_smoothing,
        check_class_reduction(class_reduction) == "sum",
        penalty_weight,
        sample_weight,
        None if avg_factor is None else torch.as_tensor(avg_factor),
    )
    check_shapes(problem)
    backend = choose_loss(problem)
    if backend.name == "eager":
        loss, parts = _eager_loss(problem)
    else:
        loss, parts = fused_loss(problem, backend.name)
    return (loss, parts) if return_parts else loss


def check_class_reduction(class_reduction: str) -> ClassReduction:
    """Return ``class_reduction`` if it is valid.

    Raises:
        ValueError: If it is neither ``'mean'`` nor ``'sum'``.
    """
    if class_reduction not in ("mean", "sum"):
        raise ValueError(f"class_reduction must be 'mean' or 'sum', got {class_reduction!r}")
    return cast(ClassReduction, class_reduction)


def _eager_loss(problem: LossProblem) -> tuple[Tensor, LossParts]:
    with torch.autocast(problem.logits.device.type, enabled=False):
        prepared = prepare(problem, traced=True)
        sums, _ = EagerLoss().run(prepared)
        loss = sums.entropy + problem.penalty_weight * sums.penalty
        share = sums.violated * prepared.constraint_share
    parts = (sums.entropy, sums.penalty, share)
    return torch.as_tensor(loss), LossParts(*(torch.as_tensor(part).detach() for part in parts))


def check_shapes(problem: LossProblem) -> None:
    """Check the shapes of the tensors of a loss.

    Raises:
        ValueError: If they do not fit.
    """
    logits = problem.logits
    check_logits_and_target(logits, problem.target)
    num_classes = logits.shape[1]
    check_coefficients(num_classes, problem.multipliers, problem.rho)
    if problem.class_weight is not None:
        _check_shape("class_weight", problem.class_weight, (num_classes,))
    if problem.sample_weight is not None:
        labels_shape = (logits.shape[0], *logits.shape[2:])
        _check_shape("sample_weight", problem.sample_weight, labels_shape)


def _check_shape(name: str, weights: Tensor, expected: tuple[int, ...]) -> None:
    if weights.shape != expected:
        raise ValueError(f"{name} must have shape {expected}, got {tuple(weights.shape)}")
