"""Multipliers of each training sample."""

import pytest
import torch
from torch import Tensor

from cals_mm.core import AugmentedLagrangian, SampleMultipliers
from cals_mm.functional import penalty_lagrangian

SETTINGS = {"margin": 2.0, "rho_interval": 2}


def epoch(state: SampleMultipliers, index: Tensor, logits: Tensor) -> None:
    statistics = state.start_dual_epoch()
    statistics.update(index, state.violation(logits))
    state.step_(statistics.all_reduce_())


@pytest.mark.parametrize("penalty", ["phr", "p2", "p3", "relu"])
def test_each_sample_follows_its_own_rule(penalty: str) -> None:
    """A sample alone in a validation is a mean over one: the class-wise rule must agree."""
    torch.manual_seed(0)
    state = SampleMultipliers(4, 3, margin=2.0, penalty=penalty).double()
    alone = [AugmentedLagrangian(3, margin=2.0, penalty=penalty).double() for _ in range(4)]
    for start in (state, *alone):
        start.multipliers.fill_(0.5)
    for _ in range(3):
        logits = 6 * torch.randn(4, 3, dtype=torch.float64)
        epoch(state, torch.arange(4), logits)
        for row, lagrangian in enumerate(alone):
            statistics = lagrangian.start_dual_epoch()
            statistics.update(logits[row : row + 1])
            lagrangian.step_(statistics)
            torch.testing.assert_close(state.multipliers[row], lagrangian.multipliers)
    assert state.multipliers.unique().numel() > 1


def test_rho_and_mean_violation_are_those_of_the_classes() -> None:
    torch.manual_seed(1)
    state = SampleMultipliers(6, 3, **SETTINGS)
    classes = AugmentedLagrangian(3, **SETTINGS)
    for _ in range(4):
        logits = 6 * torch.randn(6, 3)
        epoch(state, torch.randperm(6), logits)
        statistics = classes.start_dual_epoch()
        statistics.update(logits)
        classes.step_(statistics)
        torch.testing.assert_close(state.rho, classes.rho)
        torch.testing.assert_close(state.previous_violation, classes.previous_violation)
    assert (state.rho > 1).any()


def test_the_last_visit_counts_and_others_stay() -> None:
    state = SampleMultipliers(3, 2, **SETTINGS)
    epoch(state, torch.arange(3), torch.tensor([[8.0, 0.0]] * 3))
    before = state.multipliers.clone()
    assert before[:, 1].tolist() == pytest.approx([3.0] * 3)
    statistics = state.start_dual_epoch()
    for logit in (100.0, 6.0):
        statistics.update(torch.tensor([1]), state.violation(torch.tensor([[logit, 0.0]])))
    assert int(statistics.count) == 1
    assert statistics.mean_violation.tolist() == [-1.0, 2.0]
    state.step_(statistics)
    assert torch.equal(state.multipliers[[0, 2]], before[[0, 2]])
    assert float(state.multipliers[1, 1]) == pytest.approx(3.0 + 2.0)
    statistics.reset_()
    assert int(statistics.count) == 0 and not statistics.violation.any()


def test_a_sample_that_two_processes_visited_has_their_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A distributed sampler fills up the last round with samples that another process has too."""
    state = SampleMultipliers(3, 2, **SETTINGS)
    here, there = state.start_dual_epoch(), state.start_dual_epoch()
    here.update(torch.tensor([0, 1]), torch.tensor([[-1.0, 3.0], [-1.0, 0.3]]))
    there.update(torch.tensor([0]), torch.tensor([[-1.0, 2.0]]))

    def add_the_other(tensors) -> None:
        for mine, other in zip(tensors, (there.violation, there.visits), strict=True):
            mine += other

    monkeypatch.setattr("cals_mm.core.sample_multipliers.sum_over_processes_", add_the_other)
    here.all_reduce_()
    assert here.visits.tolist() == [1, 1, 0]
    assert int(here.count) == 2
    assert torch.equal(here.violation[0], torch.tensor([-1.0, 2.5]))
    assert torch.equal(here.violation[1], torch.tensor([-1.0, 0.3]))
    state.step_(here)
    assert state.multipliers[:, 1].tolist() == pytest.approx([2.5, 0.3, 1e-6], rel=1e-5)


def test_intervals_and_bounds() -> None:
    state = SampleMultipliers(2, 2, margin=1.0, lambda_interval=2, lambda_max=5.0)
    logits = torch.tensor([[0.0, 9.0], [0.0, 2.0]])
    epoch(state, torch.arange(2), logits)
    assert (state.multipliers == 1e-6).all()
    epoch(state, torch.arange(2), logits)
    assert state.multipliers[:, 0].tolist() == pytest.approx([5.0, 1.0])
    assert state.multipliers[:, 1].tolist() == pytest.approx([1e-6] * 2)


def test_multipliers_find_the_optimum_of_each_sample() -> None:
    """min -a_i d s.t. d <= m has the multiplier m a_i at d = m, whatever rho is."""
    slope = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    margin = 2.0
    state = SampleMultipliers(3, 2, margin=margin, rho_interval=100).double()
    for _ in range(60):
        # phr: a = lambda + rho h over m at the minimum over d, in closed form.
        violation = (slope * margin - state.multipliers[:, 1]) / state.rho[1]
        distance = margin * (1 + violation)
        logits = torch.stack([distance, torch.zeros(3, dtype=torch.float64)], 1)
        epoch(state, torch.arange(3), logits)
    torch.testing.assert_close(state.multipliers[:, 1], slope * margin)
    torch.testing.assert_close(distance, torch.full_like(distance, margin))


def test_penalty_with_a_multiplier_for_each_element() -> None:
    torch.manual_seed(2)
    violation, rho = torch.randn(5, 3), torch.tensor([1.0, 2.0, 3.0])
    multipliers = torch.rand(5, 3)
    for kind in ("phr", "p2", "p3", "relu"):
        value, slope = penalty_lagrangian(violation, multipliers, rho, kind, dim=1)
        for row in range(5):
            expected = penalty_lagrangian(violation[row], multipliers[row], rho, kind)
            assert torch.equal(value[row], expected[0])
            assert torch.equal(slope[row], expected[1])


def test_state_is_in_the_state_dict() -> None:
    state, other = SampleMultipliers(3, 2, **SETTINGS), SampleMultipliers(3, 2, **SETTINGS)
    epoch(state, torch.arange(3), torch.tensor([[8.0, 0.0]] * 3))
    other.load_state_dict(state.state_dict())
    for one in (state, other):
        epoch(one, torch.tensor([0, 2]), torch.tensor([[8.0, 0.0], [0.0, 5.0]]))
    for key, value in state.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


@pytest.mark.parametrize("size", [0, 2.0, True])
def test_bad_sizes(size: object) -> None:
    with pytest.raises(ValueError, match="num_samples must be the number of training samples"):
        SampleMultipliers(size, 3)  # type: ignore[arg-type]
