import pytest
import torch
import torch.nn.functional as F

from cals_mm import CALSLoss, MbLSLoss, SmoothedCrossEntropyLoss


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    target = torch.randint(0, 4, (2, 3, 5))
    target[0, 0] = 255
    return 5 * torch.randn(2, 4, 3, 5), target


def test_class_weights_and_smoothing_are_those_of_torch() -> None:
    logits, target = batch()
    weight = [1.0, 2.0, 0.5, 3.0]
    loss = SmoothedCrossEntropyLoss(0.1, class_weight=weight)
    for reduction in ("mean", "none"):
        expected = F.cross_entropy(
            logits,
            target,
            torch.tensor(weight),
            ignore_index=255,
            reduction=reduction,
            label_smoothing=0.1,
        )
        value = loss(logits, target, ignore_index=255, reduction_override=reduction)
        torch.testing.assert_close(value, expected)
    with pytest.raises(ValueError, match="class_weight has 4 values but .* 3 classes"):
        loss(logits[:, :3], target.clamp(max=2))


def test_mbls_is_cals_with_constant_equal_multipliers() -> None:
    logits, target = batch()
    cals = CALSLoss(num_classes=4, margin=3.0, penalty="relu")
    cals.lagrangian.multipliers.fill_(0.2 * 3.0)
    torch.testing.assert_close(
        MbLSLoss(margin=3.0, weight=0.2)(logits, target, ignore_index=255),
        cals(logits, target, ignore_index=255),
    )


def test_pixel_weights_scale_the_cross_entropy_of_mbls_alone() -> None:
    logits, target = batch()
    loss, zero = MbLSLoss(margin=1.0, weight=0.5), torch.zeros(target.shape)
    alone = loss(logits, target, ignore_index=255) - F.cross_entropy(
        logits, target, ignore_index=255
    )
    torch.testing.assert_close(loss(logits, target, zero, ignore_index=255), alone)
    assert alone > 0.1
