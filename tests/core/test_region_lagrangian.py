import copy

import pytest
import torch
from torch import Tensor

from cals_mm.core import AugmentedLagrangian, NonFiniteLogitsError, RegionLagrangian
from cals_mm.core.region_lagrangian import region_masks
from cals_mm.functional._regions import boundary_pixels

SETTINGS = dict(margin=2.0, rho_interval=2)


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(2, 4, 9, 12, generator=generator)
    target = torch.randint(0, 4, (2, 3, 3), generator=generator)
    target = target.repeat_interleave(3, 1).repeat_interleave(4, 2)
    target[:, :2, :5] = 255
    return logits, target


def test_regions_are_all_that_counts() -> None:
    _, target = batch()
    valid = target != 255
    interior, boundary = region_masks(target, 3, valid)
    assert torch.equal(interior | boundary, valid)
    assert not (interior & boundary).any()
    assert torch.equal(boundary, boundary_pixels(target, 3, 255))
    whole = region_masks(target)
    assert torch.equal(whole[0], ~whole[1])
    assert whole[1].sum() > boundary.sum(), "void is a class of its own where all counts"
    # What does not count may hold anything, and differ from what lies beside it.
    torch.manual_seed(0)
    noise = torch.where(valid, target, torch.randint(-5, 300, target.shape))
    assert torch.equal(region_masks(noise, 3, valid)[1], boundary)


def test_each_region_learns_like_a_lagrangian_of_its_own() -> None:
    lagrangian = RegionLagrangian(4, **SETTINGS)
    alone = [AugmentedLagrangian(4, **SETTINGS) for _ in range(2)]
    for validation in range(4):
        logits, target = batch(validation)
        valid = target != 255
        statistics = lagrangian.start_dual_epoch()
        for image in range(2):
            part = slice(image, image + 1)
            statistics.update(logits[part], valid[part], target[part])
        assert statistics.count == valid.sum()
        lagrangian.step_(statistics)
        boundary = boundary_pixels(target, 3, 255)
        rows = logits.movedim(1, -1)
        for single, mask in zip(alone, (valid & ~boundary, boundary), strict=True):
            sums = single.start_dual_epoch()
            sums.update(rows[mask])
            single.step_(sums)
    for part, single in zip(lagrangian.parts, alone, strict=True):
        for key, value in single.state_dict().items():
            torch.testing.assert_close(part.state_dict()[key], value, rtol=1e-6, atol=0)
    assert not torch.equal(lagrangian.interior.multipliers, lagrangian.boundary.multipliers)
    assert (lagrangian.interior.rho > 1).any()


def test_statistics_keep_the_multipliers_of_the_start() -> None:
    lagrangian = RegionLagrangian(4, **SETTINGS)
    logits, target = batch()
    expected, statistics = lagrangian.start_dual_epoch(), lagrangian.start_dual_epoch()
    expected.update(logits, None, target % 4)
    lagrangian.boundary.multipliers.fill_(7.0)
    statistics.update(logits, None, target % 4)
    for part, wanted in zip(statistics.parts, expected.parts, strict=True):
        assert torch.equal(part.sum_derivative, wanted.sum_derivative)
    statistics.reset_()
    assert statistics.count == 0


def test_a_region_without_pixels_stays() -> None:
    lagrangian = RegionLagrangian(4, **SETTINGS)
    statistics = lagrangian.start_dual_epoch()
    statistics.update(9 * torch.randn(1, 4, 5, 5), target=torch.ones(1, 5, 5, dtype=torch.long))
    lagrangian.step_(statistics)
    assert lagrangian.interior.num_updates == 1
    assert lagrangian.boundary.num_updates == 0
    with pytest.warns(UserWarning, match="no valid sample"):
        lagrangian.step_(lagrangian.start_dual_epoch())
    assert lagrangian.interior.num_updates == 1


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
    with pytest.raises(NonFiniteLogitsError):
        statistics.update(logits.log(), None, target)
    with pytest.raises(ValueError, match="odd and at least 3, got 2"):
        RegionLagrangian(4, size=2)
    with pytest.raises(TypeError, match="marginn"):
        RegionLagrangian(4, marginn=1.0)
