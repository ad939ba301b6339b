"""The losses CALS is compared with, and their values in float64 by the plainest algebra."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor


def log_softmax(logits: Tensor) -> Tensor:
    return logits - logits.exp().sum(1, keepdim=True).log()


def one_hot(logits: Tensor, target: Tensor) -> Tensor:
    return torch.eye(logits.shape[1], dtype=logits.dtype)[target]


def smoothed(logits: Tensor, target: Tensor, alpha: float) -> Tensor:
    wanted = (1 - alpha) * one_hot(logits, target) + alpha / logits.shape[1]
    return -(wanted * log_softmax(logits)).sum(1)


def mbls(logits: Tensor, target: Tensor, margin: float, weight: float) -> Tensor:
    distance = logits.max(1, keepdim=True).values - logits
    penalty = torch.relu(distance - margin).mean(1)
    return smoothed(logits, target, 0.0) + weight * penalty


def focal(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    p = (one_hot(logits, target) * log_softmax(logits).exp()).sum(1)
    return -((1 - p) ** gamma) * p.log()


def flsd(logits: Tensor, target: Tensor) -> Tensor:
    p = (one_hot(logits, target) * log_softmax(logits).exp()).sum(1)
    return -((1 - p) ** torch.where(p < 0.2, 5.0, 3.0)) * p.log()


def acls(logits: Tensor, target: Tensor, margin: float) -> Tensor:
    rows = []
    for z in logits:
        top = int(z.argmax())
        first = torch.relu(z[top] - margin) ** 2
        largest = z[top].detach()
        others = [torch.relu(largest - z[j] - margin) ** 2 for j in range(len(z)) if j != top]
        rows.append(1.0 * first + 0.1 * torch.stack(others).mean())
    return smoothed(logits, target, 0.0) + 0.1 * torch.stack(rows)


def cpc(logits: Tensor, target: Tensor) -> Tensor:
    rows = []
    for z, y in zip(logits, target, strict=True):
        others = [k for k in range(len(z)) if k != y]
        win = sum((1 + (z[k] - z[y]).exp()).log() for k in others) / len(others)
        pairs = [(i, j) for i in others for j in others if i != j]
        even = sum(0.5 * (1 + (z[j] - z[i]).exp()).log() for i, j in pairs) / len(pairs)
        rows.append(0.1 * win + even)
    return smoothed(logits, target, 0.0) + torch.stack(rows)


def ecp(logits: Tensor, target: Tensor, weight: float) -> Tensor:
    p = log_softmax(logits).exp()
    return smoothed(logits, target, 0.0) + weight * (p * p.log()).sum(1)


def brier(logits: Tensor, target: Tensor) -> Tensor:
    return ((log_softmax(logits).exp() - one_hot(logits, target)) ** 2).sum(1)


# Name -> arguments, and the loss of each of (N, K) logits.
EXPECTED: dict[str, tuple[dict, Callable[[Tensor, Tensor], Tensor]]] = {
    "SmoothedCrossEntropyLoss": ({"label_smoothing": 0.05}, partial(smoothed, alpha=0.05)),
    "MbLSLoss": ({"margin": 2.0, "weight": 0.1}, partial(mbls, margin=2.0, weight=0.1)),
    "SoftmaxFocalLoss": ({"gamma": 3.0}, partial(focal, gamma=3.0)),
    "FLSDLoss": ({}, flsd),
    "EntropyPenaltyLoss": ({"weight": 0.1}, partial(ecp, weight=0.1)),
    "BrierLoss": ({}, brier),
    "ACLSLoss": ({"margin": 2.0}, partial(acls, margin=2.0)),
    "AdaFocalLoss": ({"gamma_init": 2.0}, partial(focal, gamma=2.0)),
    "PairwiseConstraintLoss": ({}, cpc),
}
LABELS_ONLY = {"SoftmaxFocalLoss", "FLSDLoss", "AdaFocalLoss", "PairwiseConstraintLoss"}
