"""Values and gradients of the authors' released code, in float64 (tests/golden/methods)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import cals_mm
from cals_mm.core import AugmentedLagrangian, HeuristicRule, LearnedState, RegionLagrangian
from cals_mm.functional import maximum_mean_calibration_error
from cals_mm.functional._samples import as_samples
from cals_mm.functional._window_loss import window_loss
from cals_mm.functional._windows import MEAN, LabelWindows, Window
from cals_mm.functional.nacl import neighbour_distance

GOLDEN = Path(__file__).parents[1] / "golden" / "methods"
REPLICATED_IN_FLOAT32 = 1e-7
"""Where the authors' window itself is float32."""


def load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return data


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def with_buffers(loss: nn.Module, **values: Any) -> nn.Module:
    for name, value in values.items():
        loss.get_buffer(name).copy_(double(value))
    return loss


def make(method: str, case: dict[str, Any]) -> nn.Module:
    """Our loss at the settings of a case."""
    settings, classes = case["settings"], len(case["logits"][0])
    margin = settings.get("margin")
    lagrangian = {"num_classes": classes, "margin": margin}
    match method:
        case "acls":
            return cals_mm.ACLSLoss(
                margin, settings["alpha"], settings["pos_lambda"], settings["neg_lambda"]
            )
        case "adafocal":
            loss = cals_mm.AdaFocalLoss(settings["num_bins"]).double()
            return with_buffers(
                loss, **{"focus.gamma": case["gammas"], "focus.edges": case["edges"]}
            )
        case "brier":
            return cals_mm.BrierLoss()
        case "cals":
            # There, ignored pixels are constrained.
            loss = cals_mm.CALSLoss(
                **lagrangian, penalty=settings["penalty"], ignore_index=None
            ).double()
            state = {"multipliers": case["multipliers"], "rho": case["rho"]}
            return with_buffers(loss, **{f"lagrangian.{key}": v for key, v in state.items()})
        case "cals_hr":
            loss = cals_mm.CALSLoss(**lagrangian, rule="heuristic").double()
            return with_buffers(loss, **{"heuristic.multipliers": case["multipliers"]})
        case "cals_sample":
            loss = cals_mm.SampleCALSLoss(
                num_samples=len(case["multipliers"]), **lagrangian, penalty=settings["penalty"]
            ).double()
            loss.start_batch(case["sample_index"])
            return with_buffers(loss, **{"lagrangian.multipliers": case["multipliers"]})
        case "cpc":
            return cals_mm.PairwiseConstraintLoss(settings["lambd_bdc"], settings["lambd_bec"])
        case "crac":
            loss = cals_mm.CRaCLoss(**lagrangian, padding="zeros").double()
            state = {
                f"lagrangian.{key}": [case[f"{key}_interior"], case[f"{key}_boundary"]]
                for key in ("multipliers", "rho")
            }
            return with_buffers(loss, **state)
        case "ecp":
            return cals_mm.EntropyPenaltyLoss(settings["alpha"], class_reduction="mean")
        case "flsd":
            return cals_mm.FLSDLoss(settings["gamma"], settings["thresholds"], settings["gammas"])
        case "focal":
            return cals_mm.SoftmaxFocalLoss(settings["gamma"])
        case "label_smoothing":
            return cals_mm.SmoothedCrossEntropyLoss(settings["alpha"])
        case "mbls":
            return cals_mm.MbLSLoss(margin, settings["alpha"])
        case "mmce":
            return cals_mm.MMCELoss(settings["lamda"], "squared")
        case "nacl":
            return cals_mm.NACLLoss(
                settings["alpha"], settings["distance_type"], settings["kernel_ops"], "zeros"
            )
        case "svls":
            return cals_mm.SVLSLoss(settings["sigma"])
    raise AssertionError(method)


def value_and_gradient(loss: Any, case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    logits = double(case["logits"]).requires_grad_()
    value = loss(logits, torch.tensor(case["target"]), ignore_index=case.get("ignore_index"))
    return value.detach(), torch.autograd.grad(value, logits)[0]


def is_elsewhere(method: str, name: str) -> bool:
    """Cases that another test below converts."""
    return "weighted" in name or "monai" in name or method == "avuc"


CASES = [
    pytest.param(method, case, id=f"{method}-{number}-{case['name']}")
    for method in sorted(path.stem for path in GOLDEN.glob("*.json"))
    for number, case in enumerate(load(method)["cases"])
    if not is_elsewhere(method, case["name"])
]


@pytest.mark.parametrize("method, case", CASES)
def test_value_and_gradient(method: str, case: dict[str, Any]) -> None:
    value, gradient = value_and_gradient(make(method, case), case)
    expected, slope, tolerance = case["loss"], double(case["gradient"]), 1e-9
    if method == "adafocal":  # theirs is a sum over samples
        expected, slope = expected / case["num_samples"], slope / case["num_samples"]
    if method == "cpc":  # theirs pairs each class with itself too, and has an epsilon
        expected, tolerance = expected - case["diagonal_constant"], 1e-8
    if "gaussian" in case["name"]:
        tolerance = REPLICATED_IN_FLOAT32
    torch.testing.assert_close(value, double(expected), rtol=tolerance, atol=0)
    torch.testing.assert_close(gradient, slope, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", load("avuc")["cases"], ids=lambda case: case["name"])
def test_accuracy_versus_uncertainty(case: dict[str, Any]) -> None:
    """Theirs is the term alone."""
    loss = cals_mm.AvUCLoss(weight=1.0, threshold=case["settings"]["threshold"]).double()
    value, gradient = value_and_gradient(loss, case)
    entropy, slope = value_and_gradient(lambda z, y, ignore_index: F.cross_entropy(z, y), case)
    torch.testing.assert_close(value - entropy, double(case["loss"]), rtol=1e-9, atol=0)
    torch.testing.assert_close(gradient - slope, double(case["gradient"]), rtol=1e-9, atol=1e-9)
    listed = cals_mm.AvUCLoss(weight=1.0, thresholds=[case["settings"]["threshold"]])
    torch.testing.assert_close(value_and_gradient(listed, case), (value, gradient))


def group_products(confidence: Tensor, correct: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Double sums of the residuals over pairs of right, of wrong, and of one of each."""
    kernel = torch.exp(-(confidence[:, None] - confidence).abs() / 0.4)
    right, wrong = (1 - confidence) * correct, confidence * ~correct
    return right @ kernel @ right, wrong @ kernel @ wrong, right @ kernel @ wrong


WEIGHTED = [case for case in load("mmce")["cases"] if "weighted" in case["name"]]


@pytest.mark.parametrize("case", WEIGHTED, ids=lambda case: case["name"])
def test_weighted_mmce_but_for_the_divisors(case: dict[str, Any]) -> None:
    """Theirs divides by the sizes of the groups once more than a mean does; ours has the means."""
    logits, target = double(case["logits"]), torch.tensor(case["target"])
    confidence, predicted = (each.flatten() for each in logits.softmax(1).max(1))
    correct = predicted == target.flatten()
    n, m = float(correct.sum()), float((~correct).sum())
    pairs = (n * n, m * m, n * m)
    entropy = F.cross_entropy(logits, target)
    ours = cals_mm.MMCELoss(2.0, "weighted")(logits, target)
    if not (n and m):
        torch.testing.assert_close(entropy, double(case["loss"]), rtol=1e-9, atol=0)
        torch.testing.assert_close(ours, entropy, rtol=1e-12, atol=0)
        return
    products = group_products(confidence, correct)
    means = [product / number for product, number in zip(products, pairs, strict=True)]
    square = means[0] + means[1] - 2 * means[2]
    torch.testing.assert_close(ours, entropy + 2 * square.sqrt(), rtol=1e-9, atol=0)
    error = maximum_mean_calibration_error(confidence, correct, form="weighted")
    torch.testing.assert_close(error, square.sqrt(), rtol=1e-9, atol=0)
    twice = [mean / (number + 1e-5) for mean, number in zip(means, pairs, strict=True)]
    theirs = entropy + 2 * (twice[0] + twice[1] - 2 * twice[2] + 1e-10).sqrt()
    torch.testing.assert_close(theirs, double(case["loss"]), rtol=1e-9, atol=0)


MONAI = [case for case in load("nacl")["cases"] if "monai" in case["name"]]


@pytest.mark.parametrize("case", MONAI, ids=lambda case: case["name"])
def test_nacl_of_monai(case: dict[str, Any]) -> None:
    """There, pixels outside of the image have no class; the Gaussian is nine pixels wide."""
    logits, target = double(case["logits"]).requires_grad_(), torch.tensor(case["target"])
    window = MEAN
    if case["settings"]["kernel_ops"] == "gaussian":
        edges = (torch.arange(10, dtype=torch.float64) - 4.5) / 2**0.5
        window = Window(tuple((edges.erf().diff() / 2).tolist()))
    samples = as_samples(logits, target)
    windows = LabelWindows(target, None, logits.shape[1], window, "empty", torch.float64)
    shares = torch.stack([windows.shares(i, slice(0, target.shape[1])) for i in range(len(target))])
    torch.testing.assert_close(shares, double(case["prior"]), rtol=0, atol=2e-5)
    term = neighbour_distance(case["settings"]["distance_type"])
    loss = window_loss(samples, windows, term, case["settings"]["alpha"] / logits.numel()).loss
    loss.backward()
    torch.testing.assert_close(loss.detach(), double(case["loss"]), rtol=1e-6, atol=0)
    torch.testing.assert_close(logits.grad, double(case["gradient"]), rtol=1e-6, atol=1e-7)


def validate(state: LearnedState, batches: list[tuple[Tensor, Tensor | None]]) -> None:
    statistics = state.start_dual_epoch()
    for logits, target in batches:
        statistics.update(logits, None, target)
    state.step_(statistics.all_reduce_())


def in_float64(state: LearnedState, **values: float) -> None:
    """Start from numbers that float32 has not rounded."""
    for name, value in values.items():
        state.get_buffer(name).fill_(value)


def close(value: Tensor, expected: Any) -> None:
    torch.testing.assert_close(value, double(expected), rtol=1e-9, atol=1e-12)


def test_updates_of_crac() -> None:
    run = load("crac")["dual_run"]
    state = RegionLagrangian(
        num_classes=len(run["validations"][0]["logits"][0]),
        margin=run["margin"],
        padding="zeros",
        rho_init=run["rho_min"],
        rho_max=run["rho_max"],
        rho_interval=run["rho_step"],
        growth_factor=run["gamma"],
        violation_tolerance=run["tau"],
    ).double()
    in_float64(state, multipliers=run["lambda_min"], rho=run["rho_min"])
    target = torch.tensor(run["target"])
    for validation in run["validations"]:
        logits = double(validation["logits"])
        validate(state, [(z[None], y[None]) for z, y in zip(logits, target, strict=True)])
        for number, region in enumerate(("interior", "boundary")):
            close(state.multipliers[number], validation[f"multipliers_{region}_after"])
            close(state.rho[number], validation[f"rho_{region}_after"])
            close(state.previous_violation[number], validation[f"mean_violation_{region}"])
    assert (state.rho != run["rho_min"]).any()


@pytest.mark.parametrize("run", load("cals")["dual_runs"], ids=lambda run: run["penalty"])
def test_updates_of_cals(run: dict[str, Any]) -> None:
    state = AugmentedLagrangian(
        num_classes=len(run["validations"][0]["multipliers_after"]),
        margin=run["margin"],
        penalty=run["penalty"],
        rho_init=run["rho_min"],
        rho_max=run["rho_max"],
        rho_interval=run["rho_step"],
        growth_factor=run["gamma"],
        violation_tolerance=run["tau"],
    ).double()
    for validation in run["validations"]:
        validate(state, [(double(batch), None) for batch in validation["batches"]])
        close(state.multipliers, validation["multipliers_after"])
        close(state.rho, validation["rho_after"])
        close(state.previous_violation, validation["mean_violation"])


@pytest.mark.parametrize("run", load("cals_hr")["dual_runs"])
def test_updates_of_cals_hr(run: dict[str, Any]) -> None:
    state = HeuristicRule(
        num_classes=len(run["validations"][0]["multipliers_after"]),
        margin=run["margin"],
        lambda_init=run["alpha"],
        factor=run["gamma"],
        tolerance=run["tau"],
        score="weighted",
    ).double()
    in_float64(state, multipliers=run["alpha"])
    for validation in run["validations"]:
        validate(state, [(double(batch), None) for batch in validation["batches"]])
        close(state.multipliers, validation["multipliers_after"])
        close(state.previous_score, validation["score"])


@pytest.mark.parametrize("case", load("cals_sample")["cases"], ids=lambda case: case["name"])
def test_updates_of_each_sample(case: dict[str, Any]) -> None:
    loss = make("cals_sample", case)
    statistics = loss.state.start_dual_epoch()
    loss.start_batch(case["sample_index"], statistics)
    loss(double(case["logits"]), torch.tensor(case["target"]))
    loss.state.step_(statistics)
    close(loss.lagrangian.multipliers, case["multipliers_after_update"])
