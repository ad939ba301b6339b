"""The Triton kernels on the CPU, through Triton's interpreter; run by test_cals_loss_backends."""

from __future__ import annotations

from unittest.mock import patch

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cals_mm.functional.backends import triton_loss
from cals_mm.functional.backends.loss import LOSS_BACKENDS
from cals_mm.functional.backends.triton_loss import scale_unless_one_
from tests.functional.loss_cases import Case, assert_equals_eager, cases, evaluate

HALF = (torch.float32, torch.float16, torch.bfloat16)


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(cases(dtypes=HALF, soft=False), st.sampled_from([1.0, -2.5]))
def random_cases(case: Case, incoming: float) -> None:
    assert_equals_eager(case, "triton", incoming)


def many_classes() -> None:
    # Classes in several blocks: rows beyond one tile, and pixels beyond one tile.
    shapes = (((2, 9000), "phr"), ((1, 600, 3, 3), "p2"), ((3, 4096), "relu"))
    with patch.object(triton_loss, "triton_loss", wraps=triton_loss.triton_loss) as kernel:
        for shape, kind in shapes:
            generator = torch.Generator().manual_seed(0)
            logits = (torch.randn(shape, generator=generator) * 4).round()
            target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
            multipliers = torch.rand(shape[1], generator=generator)
            case = Case(logits, target, multipliers, multipliers + 1, 5.0, {"kind": kind})
            assert_equals_eager(case, "triton")
    assert kernel.call_count == len(shapes)


def ignored_may_hold_anything() -> None:
    logits = torch.randn(2, 5, 3, 4)
    target = torch.randint(0, 5, (2, 3, 4))
    target[0, 0] = 255
    case = Case(logits, target, torch.ones(5), torch.ones(5), 2.0, {"ignore_index": 255})
    loss, gradient, _ = evaluate(case, "triton")
    logits[0, :, 0] = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0])
    other_loss, other_gradient, _ = evaluate(case, "triton")
    assert torch.equal(loss, other_loss) and torch.equal(gradient, other_gradient)


def scaling() -> None:
    values = torch.arange(9000.0)
    assert torch.equal(scale_unless_one_(values.clone(), torch.tensor(1.0)), values)
    assert torch.equal(scale_unless_one_(values.clone(), torch.tensor(0.5)), values * 0.5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    LOSS_BACKENDS["cpu"] = LOSS_BACKENDS["cuda"]  # of those for the CPU, the C kernel is first
    random_cases()
    many_classes()
    ignored_may_hold_anything()
    scaling()
    print("equal")
