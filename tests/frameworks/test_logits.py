import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from cals_mm.frameworks import keep_logits, logits_and_target


def segmentation_sample(**fields) -> BaseDataElement:
    sample = BaseDataElement()
    for name, value in fields.items():
        sample.set_data({name: PixelData(data=value)})
    return sample


@pytest.mark.parametrize("as_dict", [False, True])
def test_segmentation(as_dict: bool) -> None:
    logits, label = torch.randn(3, 4, 5), torch.randint(0, 3, (1, 4, 5), dtype=torch.int32)
    sample = segmentation_sample(seg_logits=logits, gt_sem_seg=label)
    found, target = logits_and_target(sample.to_dict() if as_dict else sample)
    assert torch.equal(found, logits)
    assert target.dtype == torch.int64
    assert torch.equal(target, label[0].long())


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 1, 4, 5), (4, 4, 5)])
def test_a_label_map_of_several_channels_is_named(shape: tuple[int, ...]) -> None:
    sample = {"seg_logits": torch.randn(3, 4, 5), "gt_sem_seg": {"data": torch.zeros(shape)}}
    with pytest.raises(ValueError, match="a label is one number for each pixel") as error:
        logits_and_target(sample)
    assert str(shape) in str(error.value) and "\n" not in str(error.value)


def test_raw_scores_are_kept_where_the_softmax_underflows() -> None:
    from mmpretrain.models import ImageClassifier, LinearClsHead
    from mmpretrain.structures import DataSample

    class Scale(nn.Module):
        def forward(self, x):
            return (x,)

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model = ImageClassifier(
            backbone=dict(type=Scale),
            head=LinearClsHead(num_classes=3, in_channels=3),
        ).eval()
    nn.init.eye_(model.head.fc.weight)
    nn.init.zeros_(model.head.fc.bias)
    scores = torch.tensor([[0.0, 300.0, -50.0], [1.0, 2.0, 3.0]])
    samples = [DataSample().set_gt_label(k) for k in (1, 2)]
    with keep_logits(model):
        outputs = model(scores, samples, mode="predict")
    for output, row, label in zip(outputs, scores, (1, 2)):
        logits, target = logits_and_target(output)
        assert torch.equal(logits, row)
        assert target == label
    assert not model._forward_hooks
    assert not model.head._forward_hooks


def test_without_kept_scores_the_cure_is_named() -> None:
    sample = BaseDataElement()
    sample.set_data({"pred_score": torch.ones(3) / 3, "gt_label": torch.tensor([1])})
    with pytest.raises(ValueError, match="KeepLogitsHook"):
        logits_and_target(sample)


def test_sigmoid_and_multi_label_heads_are_refused() -> None:
    label = torch.zeros(1, 2, 2)
    with pytest.raises(ValueError, match="1 channel.*out_channels=2"):
        logits_and_target(segmentation_sample(seg_logits=torch.zeros(1, 2, 2), gt_sem_seg=label))
    sample = BaseDataElement()
    sample.set_data({"logits": torch.zeros(3), "gt_label": torch.tensor([0, 2])})
    with pytest.raises(ValueError, match="gt_label has 2 values.*multi-label"):
        logits_and_target(sample)
    with pytest.raises(ValueError, match="no label"):
        logits_and_target({"logits": torch.zeros(3)})
