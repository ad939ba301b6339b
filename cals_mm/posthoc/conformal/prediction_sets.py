"""Split-conformal prediction sets of a classifier."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .scores import Score, conformal_scores

__all__ = ["PredictionSets"]

_CHUNK = 2**22
"""Scores that are held at once."""


class PredictionSets:
    """Sets of classes that hold the true one with a given probability.

    The threshold is the ceil((n + 1) coverage)-th smallest score of the true class on n held-out
    samples; a set holds the classes whose score does not exceed it. If the held-out samples and a
    new one are exchangeable, and the model has been fitted to neither,

        coverage <= P(the set holds the true class) <= coverage + 1 / (n + 1),

    the upper bound where no two scores are equal. The probability is over the held-out samples
    and the new one: for one held-out set the coverage varies (:func:`coverage_range`), and single
    classes or kinds of images may be covered less. With ``per_class`` each class has a threshold
    of its own, and the lower bound holds for each class; it needs as many samples of each class
    as else of all.

    A set may be empty where no class fits, or hold all classes: always, where there are fewer
    than coverage / (1 - coverage) samples to fit to. Those of ``'aps'`` and ``'raps'`` with u = 0
    are never empty and the same at each call, but many scores are 0: where the most probable
    class alone is right more often than ``coverage``, they cover as much. With ``randomised`` u
    is drawn anew for every sample, at each call, and no two scores are equal.

    Args:
        coverage: Probability, in (0, 1).
        score: As of :func:`conformal_scores`.
        per_class: One threshold a class (class-conditional conformal prediction).
        randomised: Draw u uniformly from [0, 1].
        rank_penalty: As of :func:`conformal_scores`.
        free_ranks: As of :func:`conformal_scores`.

    Attributes:
        threshold: () float64, or (K,) with ``per_class``; inf: every class is in the set. NaN
            before the fit.
        counts: Held-out samples, () int64, or those of each class, (K,).

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
        """Set the threshold by held-out samples.

        Args:
            logits: (N, K) floating and finite: logits, or probabilities where the next says so.
            target: (N,) of any integer type.
            probabilities: ``logits`` holds probabilities.
            generator: For ``randomised``, on the device of ``logits``.

        Returns:
            The sets themselves.

        Raises:
            ValueError: For shapes or labels that do not fit, or no sample.
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
        """Sets of new samples.

        Args:
            logits: (N, K), as for :meth:`fit`.
            probabilities: ``logits`` holds probabilities.
            generator: For ``randomised``, on the device of ``logits``.

        Returns:
            (N, K) bool, True where the set holds the class.

        Raises:
            ValueError: Before :meth:`fit`, or for another number of classes.
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
        """Settings and fitted numbers as plain values, for a checkpoint."""
        names = ("coverage", "score", "per_class", "randomised", "rank_penalty", "free_ranks")
        values = {name: getattr(self, name) for name in names}
        return {**values, "threshold": self.threshold.tolist(), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PredictionSets:
        """The sets that :meth:`to_dict` was called on."""
        values = dict(values)
        threshold, counts = values.pop("threshold"), values.pop("counts")
        sets = cls(**values)
        sets.threshold = torch.tensor(threshold, dtype=torch.float64)
        sets.counts = torch.tensor(counts)
        return sets

    def rank(self, count: int) -> int:
        """Which of ``count`` scores in rising order is the threshold; count + 1 stands for inf."""
        # Rounded, because 0.55 * 100 is a little more than 55.
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
