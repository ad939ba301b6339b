import json
from pathlib import Path

import pytest
import torch

from cals_mm.core import HeuristicRule

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "heuristic_rule.json").read_text())


def options(run: dict) -> dict:
    return dict(
        num_classes=len(run["validations"][0]["multipliers_after"]),
        margin=run["margin"],
        lambda_init=run["initial_multiplier"],
        lambda_min=run["lambda_min"],
        lambda_max=run["lambda_max"],
        lambda_interval=run["step"],
        factor=run["gamma"],
        tolerance=run["tau"],
        score="weighted",
    )


def feed(rule: HeuristicRule, logits: torch.Tensor) -> list[float]:
    statistics = rule.start_dual_epoch()
    statistics.update(logits)
    rule.step_(statistics)
    return [round(value, 6) for value in rule.multipliers.tolist()]


@pytest.mark.parametrize("run", GOLDEN["runs"], ids=lambda run: f"interval {run['step']}")
def test_trajectory_of_the_reference_implementation(run: dict) -> None:
    rule = HeuristicRule(**options(run))
    for validation in run["validations"]:
        statistics = rule.start_dual_epoch()
        for batch in validation["val_batches"]:
            statistics.update(torch.tensor(batch, dtype=torch.float64))
        rule.step_(statistics)
        expected = torch.tensor(validation["multipliers_after"])
        torch.testing.assert_close(rule.multipliers, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("run", GOLDEN["runs"], ids=lambda run: f"interval {run['step']}")
def test_loss_of_the_reference_implementation(run: dict) -> None:
    given, expected = options(run), run["loss"]
    pytest.importorskip("mmengine", reason="MMEngine is not installed")
    from cals_mm.losses import CALSLoss

    loss = CALSLoss(
        given.pop("num_classes"), given.pop("margin"), rule=dict(type="heuristic", **given)
    )
    loss.rule.multipliers.copy_(torch.tensor(run["validations"][-1]["multipliers_after"]))
    logits = torch.tensor(expected["logits"], dtype=torch.float64, requires_grad=True)
    value = loss(logits, torch.tensor(expected["labels"]))
    value.backward()
    assert loss.last_parts is not None
    for mine, key in (
        (value, "total"),
        (loss.last_parts.cross_entropy, "ce"),
        (loss.last_parts.penalty, "penalty"),
        (logits.grad, "grad_logits"),
    ):
        theirs = torch.tensor(expected[key], dtype=torch.float64)
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-6, atol=1e-9)


def test_a_constant_violation_moves_nothing_and_a_weighted_one_runs_away() -> None:
    """A raise feeds back into the weighted score: it alone is the reason for the next one."""
    low, high = torch.tensor([[3.0, 0.0]]), torch.tensor([[6.0, 0.0]])
    plain = HeuristicRule(2, margin=1.0, tolerance=1.05)
    weighted = HeuristicRule(2, margin=1.0, tolerance=1.05, score="weighted")
    assert [feed(plain, x)[1] for x in (low, high, high, high)] == [0.1, 0.11, 0.11, 0.11]
    assert [feed(weighted, x)[1] for x in (low, high, high, high)] == [0.1, 0.11, 0.121, 0.1331]
    assert feed(plain, low)[1] == 0.1, "a violation that shrinks lowers the multiplier again"


def test_bounds_and_state() -> None:
    rule = HeuristicRule(2, margin=1.0, lambda_min=0.09, lambda_max=0.105)
    for scale, expected in ((3.0, 0.1), (9.0, 0.105), (3.0, 0.105 / 1.1), (2.0, 0.09)):
        feed(rule, torch.tensor([[scale, 0.0]]))
        assert rule.multipliers[1].item() == pytest.approx(expected)
    again = HeuristicRule(2, margin=1.0, lambda_min=0.09, lambda_max=0.105)
    again.load_state_dict(rule.state_dict())
    assert feed(again, torch.tensor([[8.0, 0.0]])) == feed(rule, torch.tensor([[8.0, 0.0]]))
    with pytest.warns(UserWarning, match="no valid sample"):
        rule.step_(rule.start_dual_epoch())


def test_penalty_is_that_of_the_plain_formula() -> None:
    rule = HeuristicRule(3, margin=2.0)
    rule.multipliers.copy_(torch.tensor([0.1, 0.5, 2.0]))
    logits = 4 * torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    distance = logits.amax(1, keepdim=True) - logits
    expected = (rule.multipliers * (distance - 2).clamp(min=0)).mean()
    torch.testing.assert_close(rule.penalty(logits), expected)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(factor=1.0), "factor must be greater than 1, got 1.0"),
        (dict(tolerance=0.9), "tolerance must be at least 1, got 0.9"),
        (dict(score="both"), "score must be 'violation' or 'weighted', got 'both'"),
        (dict(lambda_init=1e-9), "in ascending order, got 1e-06, 1e-09"),
        (dict(lambda_interval=0), "lambda_interval must be a whole number"),
        (dict(margin=-1.0), "margin must be a positive finite number"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HeuristicRule(3, **arguments)
