"""Split-conformal prediction sets of a classifier."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .scores import Score, conformal_scores

__all__ = ["PredictionSets"]

_CHUNK = 2**22
"""Number of scores held in memory at a time."""


class PredictionSets:
    """Sets of classes that contain the true class with a given probability.

    The threshold is the ceil((n + 1) coverage)-th smallest score of the true class among n held-out
    samples; a set contains all classes whose score does not exceed it. If the held-out samples and
    a new one are exchangeable, and the model was fitted to neither,

        coverage <= P(the set contains the true class) <= coverage + 1 / (n + 1),

    where the upper bound requires that no two scores are equal. The probability is over both the
    held-out samples and the new one: the coverage for a given held-out set varies
    (:func:`coverage_range`), and it may be lower for single classes or some types of images. With
    ``per_class`` each class has its own threshold and the lower bound holds for each class, but as
    many samples are needed of each class as otherwise in total.

    A set is empty if no class fits, and always contains all classes if fewer than coverage / (1 -
    coverage) held-out samples are available. With u = 0, the sets of ``'aps'`` and ``'raps'`` are
    never empty and deterministic, but many scores are 0: if the most probable class is correct more
    often than ``coverage``, the sets cover that much. With ``randomised``, u is drawn for each
    sample at each call, and no two scores are equal.

    Args:
        coverage: Required probability, in (0, 1).
        score: As of :func:`conformal_scores`.
        per_class: Use one threshold per class (class-conditional conformal prediction).
        randomised: Draw u uniformly from [0, 1].
        rank_penalty: As of :func:`conformal_scores`.
        free_ranks: As of :func:`conformal_scores`.

    Attributes:
        threshold: () float64, or (K,) with ``per_class``; inf means that every class is in the set;
            NaN before the fit.
        counts: Number of held-out samples, () int64, or of each class, (K,).

    Raises:
        ValueError: For a coverage outside (0, 1).

    Reference:
        Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Angelopoulos and
        Bates, Conformal Prediction: A Gentle Introduction, 2023 (arXiv 2107.07511), Section 1;
        per class: its Section 4.

    Example:
        >>> p = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
        >>> sets = PredictionSets(coverage=0.75)
        >>> _ = sets.fit(p, torch.tensor([0, 0, 0, 1]), probabilities=True)
        >>> sets.threshold
        tensor(0.6000, dtype=torch.float64)
        >>> sets(torch.tensor([[0.95, 0.05], [0.5, 0.5]]), probabilities=True)
        tensor([[ True, False],
                [ True,  True]])
    """

    def __init__(
        self,
        coverage: float = 0.9,
        score: Score = "lac",
        *,
        per_class: bool = False,
        randomised: bool = False,
        rank_penalty: float = 0.01,
        free_ranks: int = 5,
    ) -> None:
        if not 0 < coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1, got {coverage}")
        self.coverage = coverage
        self.score: Score = score
        self.per_class = per_class
        self.randomised = randomised
        self.rank_penalty = rank_penalty
        self.free_ranks = free_ranks
        self.threshold = torch.full((), math.nan, dtype=torch.float64)
        self.counts = torch.zeros((), dtype=torch.int64)

    def fit(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        probabilities: bool = False,
        generator: torch.Generator | None = None,
    ) -> PredictionSets:
        """Set the threshold from held-out samples.

        Args:
            logits: (N, K) floating and finite: logits, or probabilities if ``probabilities`` is
                true.
            target: (N,) of any integer type.
            probabilities: ``logits`` holds probabilities.
            generator: For ``randomised``, on the device of ``logits``.

        Returns:
            The object itself.

        Raises:
            ValueError: If shapes or labels do not fit, or there are no samples.
        """
        if logits.ndim != 2 or target.shape != logits.shape[:1] or not len(target):
            raise ValueError(
                "need logits (N, K) with target (N,) and N > 0, got "
                f"{tuple(logits.shape)} and {tuple(target.shape)}"
            )
        num_classes = logits.shape[1]
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= num_classes:
            raise ValueError(f"labels go from {low} to {high}, logits have {num_classes} classes")
        scores = self._scores(logits, probabilities, generator)
        target = target.to(scores.device, torch.int64)
        own = scores.gather(1, target[:, None])[:, 0]
        groups = [own[target == k] for k in range(num_classes)] if self.per_class else [own]
        thresholds = torch.tensor([self._quantile(group) for group in groups], dtype=torch.float64)
        counts = torch.tensor([len(group) for group in groups])
        self.threshold = thresholds if self.per_class else thresholds[0]
        self.counts = counts if self.per_class else counts[0]
        return self

    def __call__(
        self,
        logits: Tensor,
        *,
        probabilities: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Compute the sets of new samples.

        Args:
            logits: (N, K), as for :meth:`fit`.
            probabilities: ``logits`` holds probabilities.
            generator: For ``randomised``, on the device of ``logits``.

        Returns:
            (N, K) bool, true where the set contains the class.

        Raises:
            ValueError: Before :meth:`fit`, or if the number of classes differs.
        """
        if self.threshold.isnan().any():
            raise ValueError("the sets have no threshold yet; call fit() first")
        if self.per_class and logits.shape[1:] != self.threshold.shape:
            raise ValueError(
                f"need (N, {len(self.threshold)}), as at the fit, got {tuple(logits.shape)}"
            )
        scores = self._scores(logits, probabilities, generator)
        return (scores <= self.threshold.to(scores.device)).to(logits.device)

    def to_dict(self) -> dict[str, Any]:
        """Settings and fitted values as plain types, for a checkpoint."""
        names = ("coverage", "score", "per_class", "randomised", "rank_penalty", "free_ranks")
        values = {name: getattr(self, name) for name in names}
        return {**values, "threshold": self.threshold.tolist(), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PredictionSets:
        """Rebuild the object from the result of :meth:`to_dict`."""
        values = dict(values)
        threshold, counts = values.pop("threshold"), values.pop("counts")
        sets = cls(**values)
        sets.threshold = torch.tensor(threshold, dtype=torch.float64)
        sets.counts = torch.tensor(counts)
        return sets

    def rank(self, count: int) -> int:
        """Rank of the threshold among ``count`` ascending scores; count + 1 stands for inf."""
        # Rounded, because 0.55 * 100 is slightly more than 55.
        return math.ceil(round((count + 1) * self.coverage, 9))

    def _quantile(self, scores: Tensor) -> float:
        rank = self.rank(len(scores))
        return float(scores.kthvalue(rank).values) if rank <= len(scores) else math.inf

    def _scores(
        self, logits: Tensor, probabilities: bool, generator: torch.Generator | None
    ) -> Tensor:
        uniform = None
        if self.randomised:
            uniform = torch.rand(len(logits), generator=generator, device=logits.device)
        rows = max(1, _CHUNK // max(logits.shape[-1], 1))
        parts = [
            conformal_scores(
                logits[start : start + rows],
                self.score,
                rank_penalty=self.rank_penalty,
                free_ranks=self.free_ranks,
                probabilities=probabilities,
                uniform=None if uniform is None else uniform[start : start + rows],
            )
            for start in range(0, max(len(logits), 1), rows)
        ]
        return torch.cat(parts)
