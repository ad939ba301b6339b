"""Random evaluations of the loss of resized logits, and their comparison with two steps."""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from cals_mm.functional import PENALTIES, cals_loss, upsampled_cals_loss

# Relative errors of the gradient that each dtype may have.
TOLERANCES = {
    torch.float64: 1e-11,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 1e-2,
}


class ResizedCase(NamedTuple):
    logits: Tensor
    target: Tensor
    multipliers: Tensor
    rho: Tensor
    margin: float
    align_corners: bool
    options: dict[str, Any]


@st.composite
def resized_cases(
    draw, dtypes=tuple(TOLERANCES), max_classes=40, kinds=PENALTIES, most_pixels=70, ties=True
) -> ResizedCase:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    images, num_classes = draw(st.integers(1, 3)), draw(st.integers(2, max_classes))
    height, width = draw(st.integers(1, 17)), draw(st.integers(1, 17))
    relation = draw(st.sampled_from(["any", "any", "none", "ratio"]))
    if relation == "none":
        size = (height, width)
    elif relation == "ratio":
        size = (height * draw(st.sampled_from([2, 4, 8])), width * draw(st.sampled_from([2, 4, 8])))
    else:
        size = draw(st.integers(1, most_pixels)), draw(st.integers(1, most_pixels))
    logits = torch.randn((images, num_classes, height, width), generator=generator)
    logits *= draw(st.sampled_from([0.0, 1.0, 8.0, 1e4]))
    if ties and draw(st.booleans()):
        logits[:, -1] = logits[:, 0]  # ties that no rounding breaks
    align_corners = draw(st.booleans())
    if relation in ("none", "ratio") and not align_corners and draw(st.booleans()):
        logits = logits.round()  # whose mixtures are exact, so that equal ones are equal
    target = torch.randint(0, num_classes, (images, *size), generator=generator)
    options: dict[str, Any] = {
        "kind": draw(st.sampled_from(kinds)),
        "class_reduction": draw(st.sampled_from(["mean", "sum"])),
        "penalty_weight": draw(st.sampled_from([1.0, 0.0, 0.3])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1])),
        "ignore_index": draw(st.sampled_from([None, -100, 255, 0])),
    }
    if options["ignore_index"] not in (None, 0):
        share = draw(st.sampled_from([0.0, 0.3, 1.0]))
        target[rand(*target.shape) < share] = options["ignore_index"]
        if draw(st.booleans()):
            target[:, : size[0] // 2] = options["ignore_index"]
    if draw(st.booleans()):
        options["class_weight"] = rand(num_classes) + 0.1
    if draw(st.booleans()):
        options["sample_weight"] = rand(*target.shape)
    if draw(st.booleans()):
        options["avg_factor"] = 3.0
    multipliers = rand(num_classes) * draw(st.sampled_from([1e-6, 1.0, 100.0]))
    case = ResizedCase(
        logits.to(draw(st.sampled_from(dtypes))),
        target,
        multipliers.clamp(min=1e-6),
        rand(num_classes) * 9 + 1,
        draw(st.sampled_from([1.0, 4.0, 10.0])),
        align_corners,
        options,
    )
    assume(not rounding_decides(case))
    return case


def rounding_decides(case: ResizedCase) -> bool:
    """Whether the largest logits of a pixel are mixtures of different logits, equal up to rounding.

    The gradient of the penalty by the largest logit then goes to either of them: the loss has a
    kink there, and both are right. Half precision has so few numbers that this happens.
    """
    logits = case.logits.double()
    full = resized(case, logits)
    values, largest = full.max(1, keepdim=True)
    near = full >= values - 1e-6 * full.abs().amax()
    for number in largest[near.sum(1, keepdim=True) > 1].unique():
        different = resized(case, (logits - logits[:, number : number + 1]).abs()) > 0
        if (different & near & (largest == number)).any():
            return True
    return False


def resized(case: ResizedCase, logits: Tensor) -> Tensor:
    """Interpolate class by class, each of which is rounded in the same way: equal ones stay so."""
    size = case.target.shape[1:]
    return torch.cat(
        [
            F.interpolate(one, size, mode="bilinear", align_corners=case.align_corners)
            for one in logits.split(1, 1)
        ],
        1,
    )


def evaluate(case: ResizedCase, backend: str, incoming: float = 1.0) -> tuple[Tensor, Tensor, Any]:
    """Loss, gradient by the logits in their dtype, and parts."""
    logits = case.logits.detach().clone().requires_grad_()
    with patch.dict(os.environ, CALS_MM_BACKEND=backend):
        loss, parts = upsampled_cals_loss(
            logits,
            case.target,
            case.multipliers,
            case.rho,
            case.margin,
            align_corners=case.align_corners,
            return_parts=True,
            **case.options,
        )
    (loss * incoming).backward()
    assert logits.grad is not None and logits.grad.dtype == logits.dtype
    return loss.detach(), logits.grad, parts


def in_two_steps(case: ResizedCase, incoming: float = 1.0) -> tuple[Tensor, Tensor, Any, Tensor]:
    """The same in float64 by interpolation and the eager loss, and the accuracy."""
    logits = case.logits.double().requires_grad_()
    full = resized(case, logits)
    with patch.dict(os.environ, CALS_MM_BACKEND="eager"):
        loss, parts = cals_loss(
            full,
            case.target,
            case.multipliers.double(),
            case.rho.double(),
            case.margin,
            return_parts=True,
            **case.options,
        )
    (loss * incoming).backward()
    correct = (full.argmax(1) == case.target)[~_ignored(case)].double()
    return loss.detach(), logits.grad, parts, correct.mean() if len(correct) else correct.sum() + 1


def _ignored(case: ResizedCase) -> Tensor:
    label = case.options.get("ignore_index", -100)
    return (
        torch.zeros_like(case.target, dtype=torch.bool) if label is None else case.target == label
    )


def assert_equals_two_steps(case: ResizedCase, backend: str, incoming: float = 1.0) -> None:
    """The backend agrees with interpolation and loss in float64 on the same, rounded logits."""
    loss, gradient, parts = evaluate(case, backend, incoming)
    exact_loss, exact_gradient, exact_parts, accuracy = in_two_steps(case, incoming)
    rounding = 1e-11 if case.logits.dtype == torch.float64 else 1e-5
    scale = 1 + exact_parts.cross_entropy.abs() + exact_parts.penalty.abs()
    for exact, got in [(exact_loss, loss), *zip(exact_parts[:2], parts[:2], strict=True)]:
        assert (exact - got.double()).abs() <= rounding * scale
    # Where interpolated logits nearly tie, or nearly reach the margin, rounding decides.
    pixels = case.target.numel()
    near = 0.0 if case.logits.abs().max() == 0 else 1.5 / pixels + 1e-4
    assert (parts.violated - exact_parts.violated).abs() <= near + 1e-6
    assert (parts.accuracy - accuracy).abs() <= near + 1e-6
    # A confident, right prediction has the gradient p - 1, of which rounding leaves nothing, and
    # those of neighbours cancel: what counts then is the size that gradients have in general.
    label = torch.where(_ignored(case), case.target, 1)
    usual = case._replace(logits=torch.zeros_like(case.logits), target=label)
    size = exact_gradient.norm() + 0.1 * in_two_steps(usual, incoming)[1].norm()
    if case.logits.dtype == torch.float16 and exact_gradient.abs().max() > 3e4:
        return  # beyond the largest float16
    error = (gradient.double() - exact_gradient).norm()
    assert error <= TOLERANCES[case.logits.dtype] * size
