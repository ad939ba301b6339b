import inspect

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.registry import MODELS
from torch import nn

from cals_mm import CALSLoss
from cals_mm.core import AugmentedLagrangian
from cals_mm.functional import margin_violation, penalty_lagrangian


@MODELS.register_module()
class RecordingLoss(nn.Module):
    """A base loss that remembers how it was called."""

    def forward(self, logits, target, **kwargs):
        self.kwargs = kwargs
        return logits.sum() * 0 + 3.0


def make(num_classes: int = 4, **arguments) -> CALSLoss:
    torch.manual_seed(0)
    loss = CALSLoss(num_classes=num_classes, margin=1.0, **arguments)
    loss.lagrangian.multipliers.copy_(torch.rand(num_classes))
    return loss


def penalty(loss: CALSLoss, logits: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    lagrangian = loss.lagrangian
    h = margin_violation(logits, 1.0)
    value, _ = penalty_lagrangian(h, lagrangian.multipliers, lagrangian.rho, dim=1)
    return value.mean() if mask is None else value.movedim(1, -1)[mask].mean()


def pixels() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    logits = 4 * torch.randn(2, 4, 5, 6)
    label = torch.randint(0, 4, (2, 5, 6))
    label[:, :2] = 255
    return logits, label, label != 255


def test_as_mmsegmentation_calls_it() -> None:
    loss = make()
    logits, label, valid = pixels()
    expected = F.cross_entropy(logits, label, ignore_index=255) + penalty(loss, logits, valid)
    torch.testing.assert_close(loss(logits, label, weight=None, ignore_index=255), expected)


def test_pixel_weights_scale_the_cross_entropy_alone() -> None:
    loss = make()
    logits, label, valid = pixels()
    weight = torch.rand(label.shape)
    entropy = F.cross_entropy(logits, label, ignore_index=255, reduction="none") * weight
    expected = entropy.sum() / valid.sum() + penalty(loss, logits, valid)
    torch.testing.assert_close(loss(logits, label, weight=weight, ignore_index=255), expected)


def test_as_mmpretrain_calls_it() -> None:
    loss = make()
    scores = 4 * torch.randn(6, 4)
    target = torch.tensor([0, 1, 2, 3, 0, 1])
    expected = F.cross_entropy(scores, target) + penalty(loss, scores)
    torch.testing.assert_close(loss(scores, target, avg_factor=6), expected)
    soft = torch.rand(6, 4).softmax(1)
    expected = F.cross_entropy(scores, soft) + penalty(loss, scores)
    torch.testing.assert_close(loss(scores, soft, avg_factor=6), expected)


def test_class_weights_and_smoothing_are_those_of_torch() -> None:
    weight = [1.0, 2.0, 0.5, 3.0]
    loss = make(class_weight=weight, label_smoothing=0.1)
    logits, label, valid = pixels()
    entropy = F.cross_entropy(
        logits, label, torch.tensor(weight), ignore_index=255, label_smoothing=0.1
    )
    expected = entropy + penalty(loss, logits, valid)
    torch.testing.assert_close(loss(logits, label, ignore_index=255), expected)


def test_penalty_weight_loss_weight_and_sum_over_classes() -> None:
    loss = make(penalty_weight=0.3, loss_weight=2.0, class_reduction="sum")
    scores, target = 4 * torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    expected = 2 * (F.cross_entropy(scores, target) + 0.3 * 4 * penalty(loss, scores))
    torch.testing.assert_close(loss(scores, target), expected)


def test_base_loss_is_called_as_the_framework_calls_it() -> None:
    loss = make(base_loss=dict(type="RecordingLoss"))
    logits, label, valid = pixels()
    weight = torch.rand(label.shape)
    total = loss(logits, label, weight=weight, ignore_index=255)
    assert loss.base_loss.kwargs.keys() == {"weight", "ignore_index"}
    torch.testing.assert_close(total, 3.0 + penalty(loss, logits, valid))
    loss(torch.randn(2, 4), torch.tensor([0, 1]), avg_factor=2)
    assert loss.base_loss.kwargs == {"avg_factor": 2}


@pytest.mark.parametrize("base_loss", [None, dict(type="mmseg.CrossEntropyLoss")])
def test_samplers_get_the_cross_entropy_of_each_pixel(base_loss: dict | None) -> None:
    loss = make(base_loss=base_loss)
    logits, label, _ = pixels()
    each = loss(logits, label, ignore_index=255, reduction_override="none")
    torch.testing.assert_close(
        each, F.cross_entropy(logits, label, ignore_index=255, reduction="none")
    )


def test_without_ignore_index_padding_is_constrained_as_in_the_reference() -> None:
    loss = make(ignore_index=None)
    logits, label, _ = pixels()
    expected = F.cross_entropy(logits, label, ignore_index=255) + penalty(loss, logits)
    torch.testing.assert_close(loss(logits, label, ignore_index=255), expected)


def test_padding_changes_neither_loss_nor_gradient() -> None:
    loss = make()
    logits, label, _ = pixels()
    wide = F.pad(logits, (0, 7, 0, 3), value=50.0)
    wide_label = F.pad(label, (0, 7, 0, 3), value=255)
    logits.requires_grad_(True)
    wide.requires_grad_(True)
    value, wide_value = (
        loss(logits, label, ignore_index=255),
        loss(wide, wide_label, ignore_index=255),
    )
    value.backward()
    wide_value.backward()
    torch.testing.assert_close(wide_value, value, rtol=1e-6, atol=0)
    torch.testing.assert_close(wide.grad[..., :5, :6], logits.grad, rtol=1e-5, atol=1e-9)
    assert wide.grad[..., 5:, :].count_nonzero() == wide.grad[..., 6:].count_nonzero() == 0


@pytest.mark.parametrize("base_loss", [None, dict(type="mmseg.CrossEntropyLoss")])
def test_no_valid_pixel_gives_zero(base_loss: dict | None) -> None:
    loss = make(base_loss=base_loss)
    logits = torch.randn(1, 4, 3, 3, requires_grad=True)
    value = loss(logits, torch.full((1, 3, 3), 255), ignore_index=255)
    value.backward()
    assert value == 0
    assert logits.grad.count_nonzero() == 0


def test_parts_are_kept_for_the_log() -> None:
    loss = make(penalty_weight=0.5)
    logits, label, valid = pixels()
    value = loss(logits, label, ignore_index=255)
    parts = loss.last_parts
    torch.testing.assert_close(parts.cross_entropy + 0.5 * parts.penalty, value)
    h = margin_violation(logits, 1.0).movedim(1, -1)[valid]
    torch.testing.assert_close(parts.violated, (h > 0).float().mean())


def test_an_interrupted_run_does_not_stop_later_use_without_a_runner() -> None:
    hub = MessageHub.get_instance("interrupted")
    hub.update_info("loop_stage", "train")
    hub.update_info("iter", 7)
    loss = make()
    try:
        for _ in range(3):
            loss(torch.randn(2, 4), torch.tensor([0, 1]))
        hub.update_info("iter", 8)
        with pytest.raises(ValueError, match="no hook updates its multipliers"):
            loss(torch.randn(2, 4), torch.tensor([0, 1]))
    finally:
        hub.pop_info("loop_stage")


@pytest.mark.parametrize("scope", [None, "mmengine", "mmseg", "mmpretrain"])
def test_every_scope_finds_it(scope: str | None) -> None:
    import mmseg.models  # noqa: F401

    with MODELS.switch_scope_and_registry(scope) as registry:
        assert registry.get("CALSLoss") is CALSLoss
        assert isinstance(registry.build(dict(type="CALSLoss", num_classes=3)), CALSLoss)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"class_reduction": "max"}, "'mean' or 'sum', got 'max'"),
        ({"label_smoothing": 1.5}, "label_smoothing .* 1.5"),
        ({"class_weight": [1.0, 2.0]}, "class_weight has 2 values for 4 classes"),
        ({"base_loss": dict(type="RecordingLoss"), "label_smoothing": 0.1}, "give .* to it"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CALSLoss(num_classes=4, **arguments)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="margins"):
        CALSLoss(num_classes=4, margins=3.0)
    with pytest.raises(TypeError, match="unknown arguments .*'wieght'"):
        make()(torch.zeros(2, 4), torch.tensor([0, 1]), wieght=None)
    with pytest.raises(ValueError, match="reduction_override='sum'"):
        make()(torch.zeros(2, 4), torch.tensor([0, 1]), reduction_override="sum")


def test_the_signature_names_the_settings_of_the_rule() -> None:
    named = inspect.signature(CALSLoss).parameters
    solver = inspect.signature(AugmentedLagrangian).parameters
    for name in set(solver) - {"margin"}:
        assert named[name].default == solver[name].default
    assert "settings" not in named


def test_the_heuristic_rule_has_its_own_options_and_state() -> None:
    loss = CALSLoss(4, margin=2.0, rule=dict(type="heuristic", lambda_init=0.3))
    logits = 4 * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    target = torch.arange(6) % 4
    distance = logits.amax(1, keepdim=True) - logits
    expected = F.cross_entropy(logits, target) + 0.3 * (distance - 2).clamp(min=0).mean()
    torch.testing.assert_close(loss(logits, target), expected)
    assert "heuristic.previous_score" in loss.state_dict()
    assert loss.state.curves().keys() == {"lambda"}
    assert CALSLoss(4).state_dict().keys() == {
        f"lagrangian.{name}" for name in ("multipliers", "rho", "previous_violation", "num_updates")
    }


def test_an_automatic_margin_is_that_of_the_loss() -> None:
    loss = CALSLoss(4, margin="auto")
    assert loss.rule.margin == 10.0
    logits = 8 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    target = torch.arange(50) % 4
    for _ in range(2):
        statistics = loss.state.start_dual_epoch()
        statistics.update(logits, None, target)
        loss.state.step_(statistics)
    assert loss.rule.margin < 10.0
    assert float(loss.state.curves()["margin"]) == loss.rule.margin
    fixed = CALSLoss(4, margin=loss.rule.margin)
    fixed.lagrangian.multipliers.copy_(loss.lagrangian.multipliers)
    assert torch.equal(loss(logits, target), fixed(logits, target))


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (dict(rule="hand"), ValueError, "'augmented_lagrangian' or 'heuristic', got 'hand'"),
        (dict(rule=dict(type="heuristic", rho_max=2)), TypeError, "has no option 'rho_max'"),
        (dict(rule="heuristic", rho_max=2.0), TypeError, "rho_max belong to rule='augmented_lag"),
        (dict(rule=dict(type="augmented_lagrangian", a=1)), TypeError, "options beside it"),
        (dict(rule="heuristic", margin="auto"), ValueError, "margin='auto' needs rule="),
        (dict(adaptive_margin={}), TypeError, "adaptive_margin has given way to margin='auto'"),
        (dict(margin="automatic"), ValueError, "or 'auto', got 'automatic'"),
    ],
)
def test_options_of_another_rule_are_refused(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        CALSLoss(4, **arguments)
