"""Labels of every integer dtype, as image readers and lists of labels give them."""

import inspect

import pytest
import torch
import torch.nn.functional as F

import cals_mm
from cals_mm import core, functional
from cals_mm.core import RegionLagrangian, suggest_margin
from cals_mm.methods import METHODS

K, IGNORED = 5, 99  # int8 holds it too
torch.manual_seed(0)
MAPS = 5 * torch.randn(2, K, 6, 7)
LABELS = torch.randint(0, K, (2, 6, 7))
LABELS[torch.rand(2, 6, 7) < 0.3] = IGNORED
ROWS = MAPS.movedim(1, -1).reshape(-1, K)
KEPT = LABELS.reshape(-1) != IGNORED
DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32]
if hasattr(torch, "uint16"):  # from torch 2.3 on
    DTYPES.append(torch.uint16)


def loss_call(name, **extra):
    def call(target):
        options = {"num_classes": K, "num_samples": 2, "base_loss": None, **extra}
        known = inspect.signature(getattr(cals_mm, name)).parameters
        loss = getattr(cals_mm, name)(**{k: v for k, v in options.items() if k in known}).eval()
        torch.manual_seed(0)  # MMCE draws samples
        values = [loss(MAPS, target, ignore_index=IGNORED)]
        try:
            values.append(loss(MAPS, target, ignore_index=IGNORED, reduction_override="none"))
        except ValueError as error:
            assert "none for single samples" in str(error) or "has none" in str(error)
        return values

    return call


def statistics_call(make):
    def call(target):
        statistics = make().start_dual_epoch()
        statistics.update(MAPS, target != IGNORED, target)
        return [torch.as_tensor(statistics.count), *_tensors(statistics)]

    return call


def _tensors(statistics):
    parts = getattr(statistics, "parts", (statistics,))
    return [v for part in parts for v in vars(part).values() if isinstance(v, torch.Tensor)]


def scaler_call(make):
    def call(target):
        scaler = make().fit(ROWS[:30], target.reshape(-1)[:30], ignore_index=IGNORED)
        return list(scaler.linear())

    return call


CALLS = {
    **{
        method.loss.__name__: loss_call(method.loss.__name__)
        for method in METHODS.values()
        if method.loss is not None and method.loss.__name__ != "SampleCALSLoss"
    },
    "CALSLoss on a base loss": loss_call(
        "CALSLoss", base_loss=dict(type="SoftmaxFocalLoss", ignore_index=IGNORED)
    ),
    "CALSLoss without ignored": lambda target: [
        cals_mm.CALSLoss(K, ignore_index=None).eval()(
            MAPS, target.long().clamp(max=K - 1).to(target.dtype)
        )
    ],
    "AugmentedLagrangian": statistics_call(lambda: core.AugmentedLagrangian(K)),
    "AutoMargin": statistics_call(lambda: core.AugmentedLagrangian(K, core.AutoMargin(10.0))),
    "RegionLagrangian": statistics_call(lambda: RegionLagrangian(K)),
    "AdaptiveFocus": statistics_call(core.AdaptiveFocus),
    "UncertaintyThreshold": statistics_call(core.UncertaintyThreshold),
    "TemperatureScaler": scaler_call(core.TemperatureScaler),
    "ClassTemperatureScaler": scaler_call(lambda: core.ClassTemperatureScaler(K)),
    "VectorScaler": scaler_call(lambda: core.VectorScaler(K)),
    "suggest_margin": lambda target: [
        torch.tensor(suggest_margin(ROWS[KEPT], target.reshape(-1)[KEPT]))
    ],
    "calibration_statistics": lambda target: [
        v
        for v in functional.calibration_statistics(MAPS, target, ignore_index=IGNORED)
        .to_dict()
        .values()
        if isinstance(v, torch.Tensor)
    ],
    "cals_loss": lambda target: [
        functional.cals_loss(MAPS, target, torch.ones(K), torch.ones(K), ignore_index=IGNORED)
    ],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_integer_dtype_gives_the_same(name, dtype):
    expected = CALLS[name](LABELS)
    assert expected
    target = LABELS.to(dtype)
    found = CALLS[name](target)
    assert target.dtype == dtype and torch.equal(target, LABELS.to(dtype))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_so_does_the_meter_without_the_compiled_kernel(dtype, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", "eager")
    for one, other in zip(*map(CALLS["calibration_statistics"], (LABELS, LABELS.to(dtype)))):
        torch.testing.assert_close(other, one, rtol=0, atol=0)


# --- the weighted mean -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CALSLoss", "SmoothedCrossEntropyLoss", "MbLSLoss"])
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("number", [float, int])
def test_class_weights_are_those_of_pytorch_in_a_classifiers_head(name, ignored, number):
    """mmpretrain's heads pass avg_factor = N, which is no wish for another divisor."""
    weight = [1.0, 5.0, 9.0]
    logits, target = torch.randn(6, 3), torch.arange(6) % 3
    target[0] = -100 if ignored else target[0]
    options = dict(class_weight=weight)
    options |= dict(num_classes=3, penalty_weight=0.0) if name == "CALSLoss" else {}
    options |= dict(penalty_weight=0.0) if name == "MbLSLoss" else {}
    known = inspect.signature(getattr(cals_mm, name)).parameters
    loss = getattr(cals_mm, name)(**{k: v for k, v in options.items() if k in known}).eval()
    if name == "MbLSLoss":
        loss.penalty_weight = 0.0
    expected = F.cross_entropy(logits, target, torch.tensor(weight), label_smoothing=0.0)
    if name == "SmoothedCrossEntropyLoss":
        loss.label_smoothing = 0.0
    got = loss(logits, target, avg_factor=number(6))
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(loss(logits, target), expected)
    # Any other divisor is one.
    torch.testing.assert_close(
        loss(logits, target, avg_factor=12),
        F.cross_entropy(logits, target, torch.tensor(weight), reduction="sum") / 12,
    )
