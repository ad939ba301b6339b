import copy
import math

import pytest
import torch
from torch import Tensor

from cals_mm.core import AdaptiveFocus, ConfidenceStatistics, NonFiniteLogitsError


def logits_of(confidence: Tensor) -> Tensor:
    """Logits of two classes, of which the first has this probability."""
    return torch.stack([confidence.log(), (1 - confidence).log()], 1)


def validate(focus: AdaptiveFocus, confidence: list[float], hits: list[bool]) -> None:
    statistics = focus.start_dual_epoch()
    wide = torch.tensor(confidence, dtype=torch.float64)
    statistics.update(logits_of(wide), target=1 - torch.tensor(hits).long())
    focus.step_(statistics)


def by_hand(gamma: float, gap: float) -> float:
    """One update of one bin, as the paper writes it down."""
    moved = gamma * math.exp(gap if gamma > 0 else -gap)
    if abs(moved) < 0.2:
        return -0.2 if gamma > 0 else 0.2
    return max(min(moved, 20.0), -2.0)


def test_gammas_over_many_validations_equal_those_by_hand() -> None:
    """Under-confidence to the lower bound, then over-confidence to the upper one."""
    focus = AdaptiveFocus(num_bins=2).double()
    expected = [1.0, 1.0]
    seen = []
    for validation in range(60):
        hits = [True] * 4 if validation < 20 else [False] * 4
        validate(focus, [0.55, 0.65, 0.75, 0.85], hits)
        accuracy = 1.0 if hits[0] else 0.0
        expected = [
            by_hand(gamma, confidence - accuracy)
            for gamma, confidence in zip(expected, (0.6, 0.8), strict=True)
        ]
        torch.testing.assert_close(focus.gamma, torch.tensor(expected, dtype=torch.float64))
        seen.append(expected[0])
    assert min(seen) == -2.0 and max(seen) == 20.0 and -0.2 in seen and 0.2 in seen
    assert focus.num_updates == 60


def test_a_calibrated_bin_stays() -> None:
    focus = AdaptiveFocus(num_bins=1, gamma_init=-1.0)
    validate(focus, [0.75] * 4, [True, True, True, False])
    assert focus.gamma.item() == pytest.approx(-1.0)


def test_samples_find_the_bins_of_the_validation() -> None:
    focus = AdaptiveFocus(num_bins=3)
    assert focus.of(torch.tensor([0.1, 0.5, 0.9])).tolist() == [1.0, 1.0, 1.0]
    focus.gamma.copy_(torch.tensor([-1.0, 2.0, 3.0]))
    thirds = torch.tensor([0.0, 0.33, 0.34, 0.66, 0.67, 1.0])
    assert focus.of(thirds).tolist() == [-1.0, -1.0, 2.0, 2.0, 3.0, 3.0]
    validate(focus, [0.5, 0.6, 0.7, 0.8, 0.9, 0.99], [True] * 6)
    low, high = focus.edges.tolist()
    assert 0.59 < low < 0.61 and 0.79 < high < 0.81
    gamma = focus.of(torch.tensor([[low - 0.01, low], [high - 0.01, high]]))
    assert torch.equal(gamma, focus.gamma[torch.tensor([[0, 1], [1, 2]])])


def test_statistics_of_parts_are_those_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(3, 6, 8, 9, generator=generator)
    target = torch.randint(0, 6, (3, 8, 9), generator=generator)
    mask = torch.rand(3, 8, 9, generator=generator) < 0.8
    whole, parts, flat = (ConfidenceStatistics() for _ in range(3))
    whole.update(logits, mask, target)
    for image in range(3):
        part = slice(image, image + 1)
        parts.update(logits[part], mask[part], target[part])
    flat.update(logits.movedim(1, -1)[mask], target=target[mask])
    assert whole.count == mask.sum()
    for other in (parts, flat):
        assert torch.equal(other.cell_count, whole.cell_count)
        assert torch.equal(other.cell_correct, whole.cell_correct)
        torch.testing.assert_close(other.cell_confidence, whole.cell_confidence)
    parts.reset_()
    assert parts.count == 0 and not parts.cell_confidence.any()


def test_masked_samples_may_hold_anything() -> None:
    logits = torch.tensor([[1.0, 0.0], [float("nan"), 0.0]])
    statistics = ConfidenceStatistics()
    statistics.update(logits, torch.tensor([True, False]), torch.tensor([0, 255]))
    assert statistics.count == 1
    with pytest.raises(NonFiniteLogitsError, match="NaN or Inf"):
        statistics.update(logits, None, torch.tensor([0, 1]))
    assert statistics.count == 1
    with pytest.raises(ValueError, match="needs labels"):
        statistics.update(logits)


def test_saved_and_restored_state_goes_on_equally() -> None:
    focus, other = AdaptiveFocus(num_bins=3), AdaptiveFocus(num_bins=3)
    validate(focus, [0.5, 0.6, 0.7, 0.8], [True, False, True, False])
    other.load_state_dict(copy.deepcopy(focus.state_dict()))
    for each in (focus, other):
        validate(each, [0.6, 0.7, 0.8, 0.9], [True, True, True, False])
    for key, value in focus.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_empty_validation_and_empty_bins_leave_the_gammas() -> None:
    focus = AdaptiveFocus(num_bins=4)
    before = {key: value.clone() for key, value in focus.state_dict().items()}
    with pytest.warns(UserWarning, match="no valid sample"):
        focus.step_(focus.start_dual_epoch())
    assert all(torch.equal(focus.state_dict()[key], value) for key, value in before.items())
    validate(focus, [0.9], [False])
    assert focus.gamma.isfinite().all()
    assert (focus.gamma != 1).sum() == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_bins": 0}, "num_bins .* 0"),
        ({"num_bins": 1.5}, "num_bins .* 1.5"),
        ({"rate": -1.0}, "rate .* -1.0"),
        ({"threshold": 0.0}, "threshold 0.0"),
        ({"gamma_min": 0.5}, "gamma_min 0.5"),
        ({"gamma_max": 0.1}, "gamma_max 0.1"),
        ({"gamma_init": 0.1}, "gamma_init .* 0.1"),
        ({"gamma_init": 21.0}, "gamma_init .* 21.0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdaptiveFocus(**arguments)
