"""Calibration metrics by their definitions: loops over classes and bins, float64."""

from itertools import pairwise

import numpy as np


def brute_force(logits, target, num_bins, ignore_index=-100):
    """All metrics as a dictionary of floats."""
    logits = logits.double().movedim(1, -1).reshape(-1, logits.shape[1]).numpy()
    labels = target.reshape(-1).numpy()
    logits, labels = logits[labels != ignore_index], labels[labels != ignore_index]
    logits = logits - logits.max(1, keepdims=True)
    log_probability = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    probability = np.exp(log_probability)
    samples, num_classes = probability.shape
    confidence, correct = probability.max(1), logits.argmax(1) == labels
    one_hot = np.eye(num_classes)[labels]
    gaps, shares = [], []
    for inside in _bins(confidence, num_bins):
        if inside.any():
            shares.append(inside.mean())
            gaps.append(abs(confidence[inside].mean() - correct[inside].mean()))
    gaps, shares = np.array(gaps), np.array(shares)
    classwise = 0.0
    for k in range(num_classes):
        for inside in _bins(probability[:, k], num_bins):
            if inside.any():
                gap = abs(probability[inside, k].mean() - one_hot[inside, k].mean())
                classwise += inside.mean() * gap / num_classes
    return {
        "ece": (shares * gaps).sum(),
        "ece_l2": np.sqrt((shares * gaps**2).sum()),
        "mce": gaps.max(),
        "adaptive_ece": adaptive_error(confidence, correct, num_bins),
        "classwise_ece": classwise,
        "nll": -log_probability[np.arange(samples), labels].mean(),
        "brier": ((probability - one_hot) ** 2).sum(1).mean(),
        "accuracy": correct.mean(),
        "confidence": confidence.mean(),
        "gap": confidence.mean() - correct.mean(),
    }


def adaptive_error(confidence, correct, num_bins):
    """Equal-mass bins (a, b] between the samples of rank floor(j N / bins) + 1."""
    samples = len(confidence)
    ranks = np.arange(1, num_bins) * samples // num_bins
    inner = np.sort(confidence)[np.minimum(ranks, samples - 1)]
    edges = np.concatenate([[-1.0], inner, [2.0]])
    error = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        error += abs(confidence[inside].sum() - correct[inside].sum()) / samples
    return error


def _bins(values, num_bins):
    for b in range(num_bins):
        low, high = b / num_bins, (b + 1) / num_bins
        yield ((values > low) | (b == 0)) & ((values <= high) | (b == num_bins - 1))
