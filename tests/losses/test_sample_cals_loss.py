"""The loss with multipliers of each sample."""

import pytest
import torch

from cals_mm import SampleCALSLoss
from cals_mm.functional import cals_loss


def batch(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 6 * torch.randn(4, 3, generator=generator)
    return logits.to(dtype).requires_grad_(), torch.tensor([0, 2, 1, 2])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("penalty", ["phr", "p2", "p3", "relu"])
def test_equal_multipliers_give_the_class_wise_loss(penalty: str, reduction: str) -> None:
    loss = SampleCALSLoss(
        3, 9, 2.0, penalty=penalty, class_reduction=reduction, penalty_weight=0.7, loss_weight=3.0
    )
    multipliers, rho = torch.tensor([0.1, 0.5, 2.0]), torch.tensor([1.0, 2.0, 1.5])
    loss.lagrangian.multipliers.copy_(multipliers.expand(9, 3))
    loss.lagrangian.rho.copy_(rho)
    logits, target = batch()
    expected = 3 * cals_loss(
        logits, target, multipliers, rho, 2.0, kind=penalty,
        class_reduction=reduction, penalty_weight=0.7,
    )  # fmt: skip
    (gradient,) = torch.autograd.grad(expected, logits)
    loss.start_batch([3, 1, 4, 8])
    value = loss(logits, target, avg_factor=4)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, logits)[0], gradient)


def test_a_sample_has_its_own_multipliers() -> None:
    loss = SampleCALSLoss(3, 9, 2.0)
    loss.lagrangian.multipliers.copy_(torch.rand(9, 3))
    logits, target = batch()
    numbers = [3, 1, 4, 8]
    loss.start_batch(numbers)
    whole = loss(logits, target)
    each = []
    for row, number in enumerate(numbers):
        one = slice(row, row + 1)
        multipliers = loss.lagrangian.multipliers[number]
        each.append(cals_loss(logits[one], target[one], multipliers, torch.ones(3), 2.0))
    torch.testing.assert_close(whole, torch.stack(each).mean())  # type: ignore[arg-type]
    loss.start_batch(numbers[::-1])
    assert not torch.isclose(whole, loss(logits, target))


def test_ignored_and_repeated_samples_teach_nothing() -> None:
    loss = SampleCALSLoss(3, 9, 2.0)
    statistics = loss.state.start_dual_epoch()
    logits, target = batch()
    loss.start_batch([3, 1, 4, 8], statistics, counts=[True, True, False, True])
    loss(logits, target, ignore_index=0)
    assert statistics.visits.nonzero().flatten().tolist() == [1, 8]
    loss.state.step_(statistics)
    moved = (loss.lagrangian.multipliers != loss.lagrangian.lambda_min).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 8]
    h = loss.lagrangian.violation(logits.detach())[1]
    expected = (h + loss.lagrangian.lambda_min).clamp(min=1e-6)
    torch.testing.assert_close(loss.lagrangian.multipliers[1], expected)


def test_no_valid_sample_gives_zero() -> None:
    loss = SampleCALSLoss(3, 9)
    logits, _ = batch()
    loss.start_batch([3, 1, 4, 8], loss.state.start_dual_epoch())
    value = loss(logits, torch.full((4,), -100))
    value.backward()
    assert value == 0 and not logits.grad.any()


def test_half_precision_is_computed_wide() -> None:
    loss = SampleCALSLoss(3, 9, 2.0)
    logits, target = batch(torch.bfloat16)
    loss.start_batch([3, 1, 4, 8])
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(logits, target)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(logits.float(), target))


def test_evaluation_has_the_class_means() -> None:
    loss = SampleCALSLoss(3, 9, 2.0).eval()
    loss.lagrangian.multipliers.copy_(torch.rand(9, 3))
    logits, target = batch()
    means = loss.lagrangian.multipliers.mean(0)
    torch.testing.assert_close(
        loss(logits, target), cals_loss(logits, target, means, torch.ones(3), 2.0)
    )
    assert loss.last_parts is None
    each = loss(logits, target, reduction_override="none")
    torch.testing.assert_close(
        each, torch.nn.functional.cross_entropy(logits, target, reduction="none")
    )


def test_errors() -> None:
    loss = SampleCALSLoss(3, 9)
    logits, target = batch()
    with pytest.raises(ValueError, match="nobody tells it which samples.*SampleMultiplierHook"):
        loss(logits, target)
    loss.start_batch([1, 2, 3])
    with pytest.raises(ValueError, match="4 logits for 3 sample numbers"):
        loss(logits, target)
    for number in (9, -1):
        with pytest.raises(ValueError, match=rf"sample {number} is outside 0..8: num_samples"):
            loss.start_batch([0, number])
    loss.start_batch([0, 1, 2, 3])
    with pytest.raises(ValueError, match="each pixel of the training set"):
        loss(torch.zeros(4, 3, 2, 2), torch.zeros(4, 2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="defined for labels.* mixup"):
        loss(logits, logits.softmax(1).detach())
    with pytest.raises(ValueError, match="set num_classes=5"):
        loss(torch.zeros(4, 5), target)
    with pytest.raises(ValueError, match="class_reduction must be"):
        SampleCALSLoss(3, 9, class_reduction="max")
    with pytest.raises(ValueError, match="growth_factor"):
        SampleCALSLoss(3, 9, growth_factor=1.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'gamma'"):
        SampleCALSLoss(3, 9, gamma=2.0)
    statistics = loss.state.start_dual_epoch()
    loss.start_batch([0, 7, 2, 3], statistics)
    loss(logits.detach().index_fill(0, torch.tensor([1]), float("nan")), target)
    before = loss.lagrangian.multipliers.clone()
    with pytest.raises(ValueError, match="logits of sample 7 hold NaN or Inf"):
        loss.state.step_(statistics)
    assert torch.equal(loss.lagrangian.multipliers, before)
