"""One pass over logits that fills the calibration statistics, in cache-sized chunks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .calibration_bins import NUM_CELLS, CalibrationStatistics, bin_index, cell_index, first_bin_end

__all__ = ["calibration_statistics"]

_CHUNK = 1 << 19
"""Probabilities per chunk on the CPU, so that a chunk and its float64 copy stay in cache."""
_CHUNK_ACCELERATOR = 1 << 24


@torch.no_grad()
def calibration_statistics(
    logits: Tensor,
    target: Tensor,
    *,
    num_bins: int = 15,
    ignore_index: int | None = -100,
    probabilities: bool = False,
) -> CalibrationStatistics:
    """Sums over a batch from which every calibration metric follows.

    Statistics of batches are added up with ``+`` or ``merge_``. Probabilities are computed in
    float32 (float64 for float64 logits) and summed in float64. A sample with NaN or +inf among
    its logits, or with a logit of -inf for its label, is counted in ``nonfinite`` and left out
    of everything else.

    Args:
        logits: (N, K) or (N, K, ...), any floating dtype.
        target: Labels (N, ...) int64.
        num_bins: Number of equal-width bins (a, b] of [0, 1].
        ignore_index: Label of the samples that count for nothing, whatever their logits hold.
            None: every sample counts.
        probabilities: ``logits`` holds probabilities instead. A label's probability of zero then
            costs -log of the smallest normal number (87 for float32).

    Returns:
        Statistics on the device of ``logits``.

    Raises:
        ValueError: For shapes or labels that do not fit, or probabilities that are none.

    Example:
        >>> import torch
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([1, 1]))
        >>> statistics.count, int(statistics.bin_correct.sum())
        (2, 1)
    """
    _check(logits, target, num_bins)
    if logits.dtype in (torch.float16, torch.bfloat16):
        convert = torch.float32
    else:
        convert = logits.dtype
    # Metal has no float64.
    device = torch.device("cpu") if logits.device.type == "mps" else logits.device
    collector = _Collector(logits.shape[1], num_bins, device, probabilities)
    for scores, labels, class_dim in _chunks(logits, target):
        scores, labels = scores.to(device, convert), labels.to(device)
        if ignore_index is not None:
            keep = labels != ignore_index
            if not keep.all():
                scores, labels = _select(scores, labels, keep, class_dim)
        if labels.numel():
            _check_labels(labels, logits.shape[1], ignore_index)
            collector.add(scores, labels, class_dim)
    return collector.finish()


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


def _chunks(logits: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Views of the input as (rows, K) with class dimension 1, or (K, columns) with 0.

    Images stay planar, as they lie in memory: a transposed copy would cost more than the rest.
    """
    num_classes = logits.shape[1]
    size = _CHUNK if logits.device.type == "cpu" else _CHUNK_ACCELERATOR
    step = max(1, size // num_classes)
    if logits.ndim == 2 or logits.stride(1) == 1:
        rows, labels = logits.movedim(1, -1).reshape(-1, num_classes), target.reshape(-1)
        for start in range(0, len(rows), step):
            yield rows[start : start + step], labels[start : start + step], 1
        return
    for image, label in zip(logits.flatten(2), target.flatten(1), strict=True):
        for start in range(0, image.shape[1], step):
            yield image[:, start : start + step], label[start : start + step], 0


def _select(scores: Tensor, labels: Tensor, keep: Tensor, class_dim: int) -> tuple[Tensor, Tensor]:
    index = keep.nonzero().squeeze(1)
    return scores.index_select(1 - class_dim, index), labels[index]


class _Collector:
    """The sums of one call, chunk by chunk."""

    def __init__(
        self, num_classes: int, num_bins: int, device: torch.device, probabilities: bool
    ) -> None:
        self.sums = CalibrationStatistics.zeros(num_classes, num_bins, device)
        self.probabilities = probabilities
        self.class_total = self.sums.class_probability.new_zeros(num_classes)
        self.class_above = self.sums.class_count.new_zeros(num_classes * num_bins)
        self.probability_above = self.sums.class_probability.new_zeros(num_classes * num_bins)

    def add(self, scores: Tensor, labels: Tensor, class_dim: int) -> None:
        """Add a chunk: (rows, K) with class dimension 1, or (K, columns) with 0."""
        probability = scores.contiguous() if self.probabilities else scores.softmax(class_dim)
        confidence = probability.amax(class_dim)
        of_label = _at(probability, labels, class_dim)
        entropy = self._entropy(scores, labels, of_label, class_dim)
        total_entropy = entropy.sum(dtype=torch.float64)
        if not (total_entropy + confidence.sum(dtype=torch.float64)).isfinite():
            finite = confidence.isfinite() & entropy.isfinite()
            self.sums.nonfinite += (~finite).sum()
            if finite.any():
                self.add(*_select(scores, labels, finite, class_dim), class_dim)
            return
        if self.probabilities:
            _check_probabilities(probability, class_dim)
        self.sums.negative_log_likelihood += total_entropy
        self._add_totals(probability, of_label, class_dim)
        self._add_classes(probability, of_label, labels, class_dim)
        self._add_confidence(
            confidence, self._correct(scores, labels, of_label, confidence, class_dim), labels
        )

    def _entropy(self, scores: Tensor, labels: Tensor, of_label: Tensor, class_dim: int) -> Tensor:
        tiny = torch.finfo(of_label.dtype).tiny
        if self.probabilities:
            return -of_label.clamp(min=tiny).log()
        entropy = of_label.log().neg_()
        few_digits = tiny * 2**24
        if of_label.amin() < few_digits:  # the probability underflows, the logits do not
            small = of_label < few_digits
            few, few_labels = _select(scores, labels, small, class_dim)
            entropy[small] = -_at(few.log_softmax(class_dim), few_labels, class_dim)
        return entropy

    def _correct(
        self, scores: Tensor, labels: Tensor, of_label: Tensor, confidence: Tensor, class_dim: int
    ) -> Tensor:
        """Whether the label has the largest score, the first of equals (bool)."""
        correct = of_label == confidence
        # Several times faster than an arg-max; only up to 1/2 another class can have as much.
        doubtful = (correct & (confidence < 0.501)).nonzero().squeeze(1)
        if len(doubtful):
            few = scores.index_select(1 - class_dim, doubtful)
            correct[doubtful] = few.max(class_dim).indices == labels[doubtful]
        return correct

    def _add_totals(self, probability: Tensor, of_label: Tensor, class_dim: int) -> None:
        exact = probability.double()
        self.class_total += exact.sum(1 - class_dim)
        exact = exact.view(-1)
        self.sums.brier += torch.dot(exact, exact) + len(of_label)
        self.sums.brier -= 2 * of_label.sum(dtype=torch.float64)

    def _add_classes(
        self, probability: Tensor, of_label: Tensor, labels: Tensor, class_dim: int
    ) -> None:
        bins, num_classes = self.sums.num_bins, self.sums.num_classes
        size = num_classes * bins
        index = bin_index(of_label, bins).add_(labels, alpha=bins)
        positive = torch.bincount(index, minlength=size)
        self.sums.class_positive += positive.view(num_classes, bins)
        # Nearly all probabilities lie in the lowest bin, whose sums follow from the totals.
        probability = probability.view(-1)
        above = _nonzero(probability > first_bin_end(bins, probability.dtype))
        high = probability[above]
        if class_dim == 1:
            classes = above.remainder(num_classes)
        else:
            classes = above.div(len(labels), rounding_mode="floor")
        index = bin_index(high, bins).add_(classes, alpha=bins)
        self.class_above += torch.bincount(index, minlength=size)
        self.probability_above += torch.bincount(index, high.double(), minlength=size)

    def _add_confidence(self, confidence: Tensor, correct: Tensor, labels: Tensor) -> None:
        sums = self.sums
        sums.class_correct += torch.bincount(labels[correct], minlength=sums.num_classes)
        exact = confidence.double()
        for name, size, index in (
            ("bin", sums.num_bins, bin_index(confidence, sums.num_bins)),
            ("cell", NUM_CELLS, cell_index(confidence)),
        ):
            # Correct samples are counted in the upper half of one histogram.
            count = torch.bincount(index.add(correct, alpha=size), minlength=2 * size).view(2, size)
            getattr(sums, f"{name}_count").add_(count.sum(0))
            getattr(sums, f"{name}_correct").add_(count[1])
            getattr(sums, f"{name}_confidence").add_(torch.bincount(index, exact, minlength=size))

    def finish(self) -> CalibrationStatistics:
        """Fill the lowest bins from the totals and return the sums."""
        sums = self.sums
        sums.class_count += self.class_above.view_as(sums.class_count)
        sums.class_count[:, 0] = sums.bin_count.sum() - sums.class_count[:, 1:].sum(1)
        sums.class_probability += self.probability_above.view_as(sums.class_probability)
        rest = self.class_total - sums.class_probability[:, 1:].sum(1)
        sums.class_probability[:, 0] = rest.clamp_(min=0)
        return sums


def _at(values: Tensor, labels: Tensor, class_dim: int) -> Tensor:
    return values.gather(class_dim, labels.unsqueeze(class_dim)).squeeze(class_dim)


def _nonzero(mask: Tensor) -> Tensor:
    """Indices of the true values of a flat mask; eight at a time, as most are false."""
    if mask.numel() % 8:
        return mask.nonzero().squeeze(1)
    words = mask.view(torch.int64).nonzero()
    inside = mask.view(-1, 8)[words.squeeze(1)].nonzero()
    word, place = inside.unbind(1)
    return words.squeeze(1)[word].mul_(8).add_(place)


def _check_probabilities(probability: Tensor, class_dim: int) -> None:
    low, total = probability.amin(), probability.sum(class_dim)
    worst = (total - 1).abs().amax()
    if low < 0 or worst > 0.01:
        raise ValueError(
            f"probabilities=True, but values reach down to {low:.4g} and their sums over classes "
            f"differ from 1 by up to {worst:.4g}; pass logits with probabilities=False"
        )
