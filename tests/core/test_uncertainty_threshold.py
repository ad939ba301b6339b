"""The threshold of AvUC follows the first validations."""

import pytest
import torch
from torch import Tensor

from cals_mm.core import NonFiniteLogitsError, UncertaintyThreshold


def batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 4, 5, 6, generator=generator)
    target = torch.randint(0, 4, (2, 5, 6), generator=generator)
    target[:, :2, :3] = 255
    return logits, target


def by_hand(logits: Tensor, target: Tensor) -> float:
    p = logits.double().movedim(1, -1)[target != 255].softmax(-1)
    entropy, correct = -(p * p.log()).sum(-1), p.argmax(-1) == target[target != 255]
    return float(entropy[correct].mean() + entropy[~correct].mean()) / 2


def validate(state: UncertaintyThreshold, *batches: tuple[Tensor, Tensor]) -> None:
    statistics = state.start_dual_epoch()
    for logits, target in batches:
        statistics.update(logits, target != 255, target)
    state.step_(statistics.all_reduce_())


def test_it_follows_so_many_validations_and_stays() -> None:
    state = UncertaintyThreshold(threshold=1.0, num_validations=2)
    for seed in (0, 1):
        validate(state, batch(seed))
        assert float(state.threshold) == pytest.approx(by_hand(*batch(seed)), rel=1e-6)
    frozen = state.threshold.clone()
    validate(state, batch(2))
    assert torch.equal(state.threshold, frozen)
    assert state.num_updates == 3


def test_batches_add_up_to_the_whole() -> None:
    whole, parts = UncertaintyThreshold().double(), UncertaintyThreshold().double()
    both = [torch.cat(part) for part in zip(batch(0), batch(1), strict=True)]
    validate(whole, (both[0], both[1]))
    validate(parts, batch(0), batch(1))
    torch.testing.assert_close(whole.threshold, parts.threshold, rtol=1e-12, atol=0)


def test_without_wrong_or_right_predictions_nothing_changes() -> None:
    logits = torch.eye(4)
    for target in (torch.arange(4), torch.arange(4).roll(1)):
        state = UncertaintyThreshold(threshold=0.7)
        validate(state, (logits, target))
        assert state.threshold == torch.tensor(0.7)
    with pytest.warns(UserWarning, match="the threshold stay"):
        validate(state)


def test_void_pixels_may_hold_anything_and_others_may_not() -> None:
    logits, target = batch(0)
    dirty = logits.clone()
    dirty.movedim(1, -1)[target == 255] = torch.nan
    states = [UncertaintyThreshold(), UncertaintyThreshold()]
    validate(states[0], (logits, target))
    validate(states[1], (dirty, target))
    assert torch.equal(states[0].threshold, states[1].threshold)
    statistics = states[0].start_dual_epoch()
    with pytest.raises(NonFiniteLogitsError):
        statistics.update(logits.log(), target != 255, target)
    with pytest.raises(ValueError, match="need labels"):
        statistics.update(logits)
    statistics.reset_()
    assert statistics.count == 0
