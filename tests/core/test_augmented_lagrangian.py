import json
from pathlib import Path

import pytest
import torch

from cals_mm.core import AugmentedLagrangian, NonFiniteLogitsError
from cals_mm.functional import margin_violation, penalty_lagrangian

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "multipliers.json").read_text())


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("run", GOLDEN["runs"], ids=lambda run: run["penalty"])
def test_trajectory_of_the_reference_implementation(run: dict, dtype, tolerance) -> None:
    lagrangian = AugmentedLagrangian(
        num_classes=len(run["initial_multipliers"]),
        margin=run["margin"],
        penalty=run["penalty"],
        lambda_min=run["lambda_min"],
        lambda_max=run["lambda_max"],
        lambda_interval=run["lambda_step"],
        rho_init=run["rho_min"],
        rho_max=run["rho_max"],
        rho_interval=run["rho_step"],
        growth_factor=run["gamma"],
        violation_tolerance=run["tau"],
    ).to(dtype)
    lagrangian.multipliers.copy_(torch.tensor(run["initial_multipliers"], dtype=torch.float64))
    lagrangian.rho.copy_(torch.tensor(run["initial_rho"], dtype=torch.float64))
    for validation in run["validations"]:
        statistics = lagrangian.start_dual_epoch()
        for batch in validation["val_batches"]:
            statistics.update(torch.tensor(batch, dtype=dtype))
        lagrangian.step_(statistics)
        for value, key in (
            (lagrangian.multipliers, "multipliers_after"),
            (lagrangian.rho, "rho_after"),
            (statistics.mean_violation, "mean_constraint"),
        ):
            expected = torch.tensor(validation[key], dtype=torch.float64)
            torch.testing.assert_close(value.double(), expected, rtol=tolerance, atol=tolerance)


def feed(lagrangian: AugmentedLagrangian, logits: torch.Tensor) -> None:
    statistics = lagrangian.start_dual_epoch()
    statistics.update(logits)
    lagrangian.step_(statistics)


def test_rho_grows_only_where_the_violation_does_not_shrink() -> None:
    lagrangian = AugmentedLagrangian(2, margin=1.0, rho_interval=1, growth_factor=2.0)
    logits = torch.tensor([[3.0, 0.0]])  # violations -1 and 2
    feed(lagrangian, logits)
    assert lagrangian.rho.tolist() == [1.0, 1.0], "not at the first validation"
    feed(lagrangian, logits)
    assert lagrangian.rho.tolist() == [1.0, 2.0]
    feed(lagrangian, 0.5 * logits)  # violation 0.5, much less than 0.9 x 2
    assert lagrangian.rho.tolist() == [1.0, 2.0]


def test_intervals_count_validations_from_one() -> None:
    lagrangian = AugmentedLagrangian(2, margin=1.0, lambda_interval=2, rho_interval=3)
    logits = torch.tensor([[3.0, 0.0]])
    changed = []
    for validation in range(1, 7):
        before = lagrangian.multipliers.clone(), lagrangian.rho.clone()
        feed(lagrangian, logits * validation)
        after = lagrangian.multipliers, lagrangian.rho
        changed.append(tuple(not torch.equal(*pair) for pair in zip(before, after)))
    assert [moved for moved, _ in changed] == [False, True, False, True, False, True]
    assert [moved for _, moved in changed] == [False, False, True, False, False, True]


def test_previous_violation_is_kept_from_every_validation() -> None:
    lagrangian = AugmentedLagrangian(2, margin=1.0, rho_interval=2)
    feed(lagrangian, torch.tensor([[3.0, 0.0]]))
    feed(lagrangian, torch.tensor([[5.0, 0.0]]))
    feed(lagrangian, torch.tensor([[4.0, 0.0]]))
    assert lagrangian.previous_violation.tolist() == [-1.0, 3.0]


def test_multipliers_find_the_optimum_of_a_problem_with_a_known_solution() -> None:
    """Minimise (d - 6)^2 / 2 over a logit distance d <= 4: optimum d = 4, force lambda / m = 2."""
    lagrangian = AugmentedLagrangian(2, margin=4.0, rho_init=10.0).double()
    distance = torch.tensor(0.0, dtype=torch.float64)
    for _ in range(60):
        for _ in range(20):
            distance.requires_grad_(True)
            logits = torch.stack([distance, torch.zeros_like(distance)])[None]
            # The penalty is a mean over two classes, of which the arg-max one stays silent.
            loss = 0.5 * (distance - 6) ** 2 + 2 * lagrangian.penalty(logits)
            (gradient,) = torch.autograd.grad(loss, distance)
            distance = (distance - 0.5 * gradient).detach()
        feed(lagrangian, torch.stack([distance, torch.zeros_like(distance)])[None])
    assert distance.item() == pytest.approx(4.0, abs=1e-6)
    assert lagrangian.multipliers[1].item() / 4.0 == pytest.approx(2.0, abs=1e-6)


def test_statistics_keep_the_multipliers_of_the_start() -> None:
    lagrangian = AugmentedLagrangian(2, margin=1.0)
    statistics = lagrangian.start_dual_epoch()
    lagrangian.multipliers.fill_(100.0)
    statistics.update(torch.tensor([[3.0, 0.0]]))
    assert statistics.mean_derivative[1].item() == pytest.approx(2.0, abs=1e-5)


def test_mask_and_padding_change_nothing() -> None:
    torch.manual_seed(0)
    lagrangian = AugmentedLagrangian(4, margin=1.0)
    logits = 5 * torch.randn(2, 4, 6, 5)
    whole, padded = lagrangian.start_dual_epoch(), lagrangian.start_dual_epoch()
    whole.update(logits)
    wide = torch.full((2, 4, 6, 9), float("nan"))
    wide[..., :5] = logits
    mask = torch.zeros(2, 6, 9, dtype=torch.bool)
    mask[..., :5] = True
    padded.update(wide, mask)
    assert padded.count == whole.count == 60
    for name in ("mean_derivative", "mean_violation"):
        torch.testing.assert_close(getattr(padded, name), getattr(whole, name), rtol=1e-12, atol=0)
    torch.testing.assert_close(lagrangian.penalty(wide, mask), lagrangian.penalty(logits))


def test_penalty_is_the_mean_over_samples_and_classes() -> None:
    torch.manual_seed(0)
    lagrangian = AugmentedLagrangian(3, margin=2.0, penalty="p2")
    lagrangian.multipliers.copy_(torch.tensor([0.1, 0.5, 2.0]))
    logits = 4 * torch.randn(5, 3)
    h = margin_violation(logits, 2.0)
    value, _ = penalty_lagrangian(h, lagrangian.multipliers, lagrangian.rho, "p2")
    torch.testing.assert_close(lagrangian.penalty(logits), value.mean())
    torch.testing.assert_close(lagrangian.violation(logits), h)


def test_empty_validation_warns_and_leaves_everything() -> None:
    lagrangian = AugmentedLagrangian(3)
    before = {key: value.clone() for key, value in lagrangian.state_dict().items()}
    with pytest.warns(UserWarning, match="no valid sample"):
        lagrangian.step_(lagrangian.start_dual_epoch())
    for key, value in lagrangian.state_dict().items():
        assert torch.equal(value, before[key])
    assert lagrangian.penalty(torch.ones(1, 3, 2, 2), torch.zeros(1, 2, 2).bool()) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nonfinite_logits_are_refused_and_leave_the_sums(value: float) -> None:
    statistics = AugmentedLagrangian(2).start_dual_epoch()
    statistics.update(torch.tensor([[1.0, 0.0]]))
    before = statistics.mean_violation.clone()
    with pytest.raises(NonFiniteLogitsError, match="NaN or Inf"):
        statistics.update(torch.tensor([[value, 0.0]]))
    assert statistics.count == 1
    assert torch.equal(statistics.mean_violation, before)


def test_half_precision_is_computed_in_float32() -> None:
    lagrangian = AugmentedLagrangian(3, margin=1.0)
    logits = (5 * torch.randn(64, 3)).to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = lagrangian.penalty(logits)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, lagrangian.penalty(logits.float()))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_classes": 1}, "num_classes .* 1"),
        ({"margin": 0.0}, "margin .* 0.0"),
        ({"margin": -3}, "margin .* -3"),
        ({"margin": float("nan")}, "margin .* nan"),
        ({"penalty": "p9"}, "'p9'.*phr"),
        ({"lambda_min": 0.0}, "lambda_min"),
        ({"lambda_max": 1e-9}, "lambda_max"),
        ({"rho_init": 20.0}, "rho_init.*20"),
        ({"lambda_interval": 0}, "lambda_interval .* 0"),
        ({"rho_interval": 1.5}, "rho_interval .* 1.5"),
        ({"growth_factor": 1.0}, "growth_factor .* 1.0"),
        ({"violation_tolerance": 0.0}, "violation_tolerance .* 0.0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AugmentedLagrangian(**{"num_classes": 3, **arguments})


def test_wrong_shapes_are_named() -> None:
    statistics = AugmentedLagrangian(3).start_dual_epoch()
    with pytest.raises(ValueError, match="3 multipliers"):
        statistics.update(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="mask has shape"):
        statistics.update(torch.zeros(2, 3, 4), torch.ones(2, 5).bool())
