import copy

import pytest
import torch
from torch import Tensor

from cals_mm.core import NonFiniteLogitsError, RegionLagrangian
from cals_mm.functional._windows import MEAN
from tests.functional.windows_by_hand import is_boundary, label_shares

SETTINGS = dict(margin=2.0, rho_interval=2)


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(2, 4, 9, 12, generator=generator)
    target = torch.randint(0, 4, (2, 3, 3), generator=generator)
    target = target.repeat_interleave(3, 1).repeat_interleave(4, 2)
    target[:, :2, :5] = 255
    return logits, target


def violations(logits: Tensor, target: Tensor, padding: str) -> tuple[Tensor, Tensor]:
    """h of the valid pixels, (N, K), and whether they are boundary, by hand."""
    valid = target != 255
    boundary = is_boundary(target, valid, padding)
    size = torch.where(boundary, 1.0, 2.0).unsqueeze(1)
    h = (size * label_shares(target, valid, 4, MEAN, padding) - logits).abs()
    return h.movedim(1, -1)[valid], boundary[valid]


@pytest.mark.parametrize("padding", ["labelled", "zeros"])
def test_updates_are_those_of_the_equations(padding: str) -> None:
    lagrangian = RegionLagrangian(4, padding=padding, **SETTINGS).double()
    lam, rho = lagrangian.multipliers.clone(), lagrangian.rho.clone()
    previous = torch.zeros(2, 4).double()
    for validation in range(1, 6):
        logits, target = batch(validation)
        logits, valid = logits.double(), target != 255
        statistics = lagrangian.start_dual_epoch()
        for image in range(2):
            part = slice(image, image + 1)
            statistics.update(logits[part], valid[part], target[part])
        assert statistics.count == valid.sum()
        lagrangian.step_(statistics)
        h, boundary = violations(logits, target, padding)
        mean = torch.stack([(h * region[:, None]).mean(0) for region in (~boundary, boundary)])
        lam = (lam + rho * mean).clamp(1e-6, 1e6)
        if validation % 2 == 0:
            grow = mean > 0.9 * previous.clamp(min=0)
            rho = torch.where(grow, (1.2 * rho).clamp(lagrangian.rho_init, 10), rho)
        previous = mean
        torch.testing.assert_close(lagrangian.multipliers, lam, rtol=1e-12, atol=0)
        torch.testing.assert_close(lagrangian.rho, rho, rtol=1e-12, atol=0)
        torch.testing.assert_close(lagrangian.previous_violation, mean, rtol=1e-12, atol=0)
    assert (rho > 0.1).any() and lagrangian.curves()["lambda_boundary"] is not None


def test_each_derivative_is_clipped() -> None:
    logits, target = batch()
    h, boundary = violations(logits, target, "labelled")
    lagrangian = RegionLagrangian(4, rho_init=1.0, lambda_max=3.0, **SETTINGS)
    statistics = lagrangian.start_dual_epoch()
    statistics.update(logits, target != 255, target)
    lagrangian.step_(statistics)
    for region, chosen in enumerate((~boundary, boundary)):
        slope = torch.where(chosen[:, None], (1e-6 + h).clamp(max=3.0), 1e-6)
        torch.testing.assert_close(lagrangian.multipliers[region], slope.mean(0).float())


def test_statistics_keep_the_multipliers_of_the_start() -> None:
    lagrangian = RegionLagrangian(4, **SETTINGS)
    logits, target = batch()
    expected, statistics = lagrangian.start_dual_epoch(), lagrangian.start_dual_epoch()
    expected.update(logits, None, target % 4)
    lagrangian.multipliers.fill_(7.0)
    statistics.update(logits, None, target % 4)
    assert torch.equal(statistics.sum_derivative, expected.sum_derivative)
    assert torch.equal(statistics.mean_derivative, expected.mean_derivative)
    statistics.reset_()
    assert statistics.count == 0 and statistics.sum_violation.count_nonzero() == 0


def test_void_pixels_count_for_nothing() -> None:
    logits, target = batch()
    valid = target != 255
    dirty = logits.masked_fill(~valid.unsqueeze(1), torch.nan)
    results = []
    for z, y in ((logits, target), (dirty, target.masked_fill(~valid, -7))):
        statistics = RegionLagrangian(4, **SETTINGS).start_dual_epoch()
        statistics.update(z, valid, y)
        results.append((statistics.pixels, statistics.sum_derivative, statistics.sum_violation))
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_without_a_pixel_nothing_changes() -> None:
    lagrangian = RegionLagrangian(4, **SETTINGS)
    with pytest.warns(UserWarning, match="no valid sample: the multipliers stay"):
        lagrangian.step_(lagrangian.start_dual_epoch())
    assert lagrangian.num_updates == 0


def test_saved_and_restored_state_goes_on_equally() -> None:
    lagrangian, other = RegionLagrangian(4, **SETTINGS), RegionLagrangian(4, **SETTINGS)
    for validation in range(3):
        logits, target = batch(validation)
        for each in (lagrangian, other) if validation else (lagrangian,):
            statistics = each.start_dual_epoch()
            statistics.update(logits, target != 255, target)
            each.step_(statistics)
        if not validation:
            other.load_state_dict(copy.deepcopy(lagrangian.state_dict()))
    for key, value in lagrangian.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_misuse_is_named() -> None:
    statistics = RegionLagrangian(4).start_dual_epoch()
    logits, target = batch()
    with pytest.raises(ValueError, match="follow from the labels"):
        statistics.update(logits)
    with pytest.raises(ValueError, match=r"\(2, 3, 9, 12\), but the multipliers are for \(N, 4"):
        statistics.update(logits[:, :3], None, target % 3)
    with pytest.raises(NonFiniteLogitsError):
        statistics.update(logits.log(), target != 255, target)
    assert statistics.count == 0
    with pytest.raises(ValueError, match="'labelled' or 'zeros', got 'nearest'"):
        RegionLagrangian(4, padding="nearest")
    with pytest.raises(TypeError, match="marginn"):
        RegionLagrangian(4, marginn=1.0)
