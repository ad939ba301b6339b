"""Random evaluations of the loss, and their comparison with the eager backend in float64."""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from cals_mm.functional import PENALTIES, cals_loss
from cals_mm.functional.backends.installed import NATIVE

needs_tracing = pytest.mark.skipif(
    not hasattr(torch.library, "register_fake"),
    reason="the compiler and exporter of torch before 2.4 cannot trace this program",
)
needs_native = pytest.mark.skipif(NATIVE is None, reason="the kernel was not compiled")

# Relative errors of the gradient that each dtype may have.
TOLERANCES = {
    torch.float64: 1e-11,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 1e-2,
}


class Case(NamedTuple):
    logits: Tensor
    target: Tensor
    multipliers: Tensor
    rho: Tensor
    margin: float
    options: dict[str, Any]


@st.composite
def cases(draw, dtypes=tuple(TOLERANCES), max_classes=40, soft=True, kinds=PENALTIES) -> Case:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    dtype = draw(st.sampled_from(dtypes))
    samples, num_classes = draw(st.integers(1, 4)), draw(st.integers(2, max_classes))
    space = draw(st.sampled_from([(), (1, 1), (7,), (5, 6), (33, 3), (2, 3, 4)]))
    logits = torch.randn((samples, num_classes, *space), generator=generator)
    logits *= draw(st.sampled_from([0.0, 1.0, 8.0, 1e4]))
    if draw(st.booleans()):
        logits = logits.round()  # ties for the maximum, distances equal to the margin
    labels_shape = (samples, *space)
    target = torch.randint(0, num_classes, labels_shape, generator=generator)
    options: dict[str, Any] = {
        "kind": draw(st.sampled_from(kinds)),
        "class_reduction": draw(st.sampled_from(["mean", "sum"])),
        "penalty_weight": draw(st.sampled_from([1.0, 0.0, 0.3])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1])),
        "ignore_index": draw(st.sampled_from([None, -100, 255, 0])),
    }
    if options["ignore_index"] not in (None, 0):
        share = draw(st.sampled_from([0.0, 0.3, 1.0]))
        target[rand(*labels_shape) < share] = options["ignore_index"]
    elif soft and draw(st.booleans()):
        target = torch.randn(logits.shape, generator=generator).softmax(1)
    if draw(st.booleans()):
        options["class_weight"] = rand(num_classes) + 0.1
    if draw(st.booleans()):
        options["sample_weight"] = rand(*labels_shape)
    if draw(st.booleans()):
        options["avg_factor"] = 3.0
    multipliers = rand(num_classes) * draw(st.sampled_from([1e-6, 1.0, 100.0]))
    return Case(
        _laid_out(logits.to(dtype), draw(st.sampled_from(["dense", "last", "strided"]))),
        target,
        multipliers.clamp(min=1e-6),
        rand(num_classes) * 9 + 1,
        draw(st.sampled_from([1.0, 4.0, 10.0])),
        options,
    )


def _laid_out(logits: Tensor, layout: str) -> Tensor:
    if layout == "last":
        return logits.movedim(1, -1).contiguous().movedim(-1, 1)
    if layout == "strided":
        return torch.stack([logits, logits + 1], -1)[..., 0]
    return logits


def evaluate(case: Case, backend: str, incoming: float = 1.0) -> tuple[Tensor, Tensor, Any]:
    """Loss, gradient by the logits in their dtype, and parts."""
    logits = case.logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with patch.dict(os.environ, CALS_MM_BACKEND=backend):
        loss, parts = cals_loss(
            logits,
            case.target,
            case.multipliers,
            case.rho,
            case.margin,
            return_parts=True,
            **case.options,
        )
    (loss * incoming).backward()
    assert logits.grad is not None and logits.grad.dtype == logits.dtype
    return loss.detach(), logits.grad, parts


def assert_equals_eager(case: Case, backend: str, incoming: float = 1.0) -> None:
    """The backend agrees with the eager one in float64 on the same, rounded logits."""
    loss, gradient, parts = evaluate(case, backend, incoming)
    wide = case._replace(
        logits=case.logits.double(), multipliers=case.multipliers.double(), rho=case.rho.double()
    )
    exact_loss, exact_gradient, exact_parts = evaluate(wide, "eager", incoming)
    rounding = 1e-11 if case.logits.dtype == torch.float64 else 1e-5
    scale = 1 + exact_parts.cross_entropy.abs() + exact_parts.penalty.abs()
    for exact, got in [(exact_loss, loss), *zip(exact_parts[:2], parts[:2])]:
        assert (exact - got.double()).abs() <= rounding * scale
    torch.testing.assert_close(
        parts.violated.double(), exact_parts.violated.double(), rtol=0, atol=1e-6
    )
    if (
        case.logits.dtype == torch.float16
        and exact_gradient.abs().max() * case.target.numel() > 3e4
    ):
        return  # a sample's gradient is beyond the largest float16
    # A confident, right prediction has the gradient p - 1, of which rounding leaves nothing: what
    # counts then is the size that gradients have in general.
    _, usual_gradient, _ = evaluate(wide._replace(logits=wide.logits * 0), "eager", incoming)
    size = exact_gradient.norm() + 0.1 * usual_gradient.norm()
    error = (gradient.double() - exact_gradient).norm()
    assert error <= TOLERANCES[case.logits.dtype] * size
