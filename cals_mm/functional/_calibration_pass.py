"""Compute the calibration statistics from logits and labels."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ._calibration_bins import NUM_CELLS, CalibrationStatistics, bin_index, cell_index
from ._calibration_tiles import LogitSums, samples_at
from ._prediction_sums import DualSums, prediction_sums
from ._probabilities import NOT_LOGITS, are_probabilities
from ._probability_sums import sum_logits
from .backends.dual import DualProblem

__all__ = ["calibration_statistics", "measure"]


@torch.no_grad()
def calibration_statistics(
    logits: Tensor,
    target: Tensor,
    *,
    num_bins: int = 15,
    ignore_index: int | None = -100,
    probabilities: bool = False,
) -> CalibrationStatistics:
    """Compute the sums over a batch from which every calibration metric follows.

    Add up the statistics of batches with ``+`` or ``merge_``. Probabilities are computed in float32
    (float64 for float64 logits) and summed in float64. A sample with NaN or +inf among its logits,
    or with a logit of -inf for its label, is counted in ``nonfinite`` only.

    Args:
        logits: (N, K) or (N, K, ...), any floating dtype.
        target: Labels (N, ...) int64.
        num_bins: Number of equal-width bins (a, b] of [0, 1].
        ignore_index: Label of the samples to ignore, whatever their logits. None ignores no label.
        probabilities: Whether ``logits`` holds probabilities. A label with probability zero then
            adds -log of the smallest normal number (87 for float32) to the likelihood's sum.

    Returns:
        Statistics on the device of ``logits``.

    Raises:
        ValueError: If shapes or labels do not fit, or if probabilities do not sum to 1.

    Example:
        >>> import torch
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([1, 1]))
        >>> statistics.count, int(statistics.bin_correct.sum())
        (2, 1)
    """
    statistics, _ = measure(
        logits,
        target,
        num_bins=num_bins,
        ignore_index=ignore_index,
        probabilities=probabilities,
    )
    return statistics


@torch.no_grad()
def measure(
    logits: Tensor,
    target: Tensor,
    *,
    num_bins: int,
    ignore_index: int | None,
    probabilities: bool,
    dual: DualProblem | None = None,
) -> tuple[CalibrationStatistics, DualSums | None]:
    """Compute the statistics, and dual sums of the same samples if that costs no second pass.

    Args:
        logits: As of :func:`calibration_statistics`, like the next four.
        target: Labels.
        num_bins: Number of bins.
        ignore_index: Label to ignore.
        probabilities: Whether ``logits`` holds probabilities.
        dual: Multipliers and the like of the dual sums.

    Returns:
        The statistics, and the dual sums or None.
    """
    _check(logits, target, num_bins)
    if not probabilities and are_probabilities(logits):
        warnings.warn(NOT_LOGITS, stacklevel=4)
    if logits.device.type == "mps":  # Metal has no float64
        logits, target = logits.cpu(), target.cpu()
    target = target.to(logits.device, torch.int64)
    if not probabilities:
        found = prediction_sums(logits, target, ignore_index, num_bins, dual)
        if found is not None:
            return found.statistics, None if dual is None else found.dual
    return _in_plain_torch(logits, target, num_bins, ignore_index, probabilities), None


def _in_plain_torch(
    logits: Tensor, target: Tensor, num_bins: int, ignore_index: int | None, probabilities: bool
) -> CalibrationStatistics:
    valid = None if ignore_index is None else target != ignore_index
    if valid is not None and valid.all():
        valid = None
    statistics = CalibrationStatistics.zeros(logits.shape[1], num_bins, logits.device)
    labels = target.reshape(-1) if valid is None else target[valid]
    if not labels.numel():
        return statistics
    _check_labels(labels, logits.shape[1], ignore_index)
    sums = sum_logits(logits, target, valid, num_bins, probabilities)
    entropy = _entropy(sums.of_label, logits, labels, valid, probabilities)
    if not (entropy.sum(dtype=torch.float64) + sums.confidence.sum(dtype=torch.float64)).isfinite():
        finite = entropy.isfinite() & sums.confidence.isfinite()
        statistics.nonfinite += (~finite).sum()
        labels = labels[finite]
        if not labels.numel():
            return statistics
        valid = torch.ones_like(target, dtype=torch.bool) if valid is None else valid
        valid = valid.masked_scatter(valid, finite)
        sums = sum_logits(logits, target, valid, num_bins, probabilities)
        entropy = entropy[finite]
    if probabilities:
        _check_probabilities(sums)
    statistics.negative_log_likelihood += entropy.sum(dtype=torch.float64)
    statistics.brier += sums.square_total + len(labels)
    statistics.brier -= 2 * sums.of_label.sum(dtype=torch.float64)
    correct = _correct(sums, logits, labels, valid)
    _add_confidence(statistics, sums.confidence, correct, labels)
    _add_classes(statistics, sums, labels)
    return statistics


def _check(logits: Tensor, target: Tensor, num_bins: int) -> None:
    if logits.ndim < 2 or not logits.is_floating_point():
        raise ValueError(
            f"logits must be floating (N, K, ...), got {logits.dtype} {tuple(logits.shape)}"
        )
    if logits.shape[1] < 2:
        raise ValueError(
            "logits have 1 channel: calibration over classes needs a softmax head with at least "
            "2 output channels, not a single sigmoid channel"
        )
    expected = (logits.shape[0], *logits.shape[2:])
    if tuple(target.shape) != expected or target.is_floating_point():
        raise ValueError(
            f"target must be integer labels of shape {expected}, got {target.dtype} "
            f"{tuple(target.shape)}"
        )
    if num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, got {num_bins}")


def _check_labels(labels: Tensor, num_classes: int, ignore_index: int | None) -> None:
    low, high = labels.aminmax()
    if low < 0 or high >= num_classes:
        value = int(low if low < 0 else high)
        raise ValueError(
            f"label {value} is outside of [0, {num_classes}), the logits' channels; set "
            f"ignore_index={value} if it marks samples that do not count (now {ignore_index}), "
            "or fix the labels or num_classes"
        )


def _check_probabilities(sums: LogitSums) -> None:
    total = float(sums.class_total.sum()) / len(sums.confidence)
    highest = float(sums.confidence.max())
    if abs(total - 1) > 0.01 or highest > 1.01:
        raise ValueError(
            f"probabilities=True, but the largest value is {highest:.4g} and the mean sum over "
            f"classes {total:.4g} instead of 1; pass logits with probabilities=False"
        )


def _positions(valid: Tensor | None, index: Tensor) -> Tensor:
    """Positions of some of the valid samples in the flattened target."""
    return index if valid is None else valid.reshape(-1).nonzero().squeeze(1)[index]


def _entropy(
    of_label: Tensor, logits: Tensor, labels: Tensor, valid: Tensor | None, probabilities: bool
) -> Tensor:
    """-log p(label) of each valid sample, (V,)."""
    tiny = torch.finfo(of_label.dtype).tiny
    if probabilities:
        return of_label.clamp(min=tiny).log_().neg_()
    entropy = of_label.log().neg_()
    few_digits = tiny * 2**24
    if of_label.amin() < few_digits:  # the probability underflows, the logits do not
        small = (of_label < few_digits).nonzero().squeeze(1)
        few = samples_at(logits, _positions(valid, small)).to(of_label.dtype).log_softmax(1)
        entropy[small] = -few.gather(1, labels[small, None]).squeeze(1)
    return entropy


def _correct(sums: LogitSums, logits: Tensor, labels: Tensor, valid: Tensor | None) -> Tensor:
    """Whether the label has the largest logit, the first of equal ones, (V,) bool."""
    correct = sums.of_label == sums.confidence
    # Several times faster than argmax; another class can have as much only up to 1/2.
    doubtful = (correct & (sums.confidence < 0.501)).nonzero().squeeze(1)
    if len(doubtful):
        few = samples_at(logits, _positions(valid, doubtful))
        correct[doubtful] = few.max(1).indices == labels[doubtful]
    return correct


def _add_confidence(
    statistics: CalibrationStatistics, confidence: Tensor, correct: Tensor, labels: Tensor
) -> None:
    num_classes, num_bins = statistics.num_classes, statistics.num_bins
    statistics.class_correct += torch.bincount(labels[correct], minlength=num_classes)
    exact = confidence.double()
    for name, size, index in (
        ("bin", num_bins, bin_index(confidence, num_bins)),
        ("cell", NUM_CELLS, cell_index(confidence)),
    ):
        getattr(statistics, f"{name}_confidence").add_(torch.bincount(index, exact, minlength=size))
        # Correct samples are counted in the upper half of one histogram.
        index.add_(correct, alpha=size)
        count = torch.bincount(index, minlength=2 * size).view(2, size)
        getattr(statistics, f"{name}_count").add_(count.sum(0))
        getattr(statistics, f"{name}_correct").add_(count[1])


def _add_classes(statistics: CalibrationStatistics, sums: LogitSums, labels: Tensor) -> None:
    bins = statistics.num_bins
    shape = statistics.class_count.shape
    index = bin_index(sums.of_label, bins).add_(labels, alpha=bins)
    statistics.class_positive += torch.bincount(index, minlength=shape.numel()).view(shape)
    sums.class_count[:, 0] = len(labels) - sums.class_count.sum(1)
    # Rounding of the difference must not make a sum of probabilities negative.
    lowest = (sums.class_total - sums.class_probability.sum(1)).clamp_(min=0)
    sums.class_probability[:, 0] = lowest
    statistics.class_count += sums.class_count
    statistics.class_probability += sums.class_probability
