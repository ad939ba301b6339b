"""What is measured is what is predicted: logits are compared with the prediction."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseTTAModel
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmengine.utils import digit_version
from mmpretrain.models import build_classifier
from mmpretrain.models.tta import AverageClsScoreTTA
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from cals_mm.frameworks import keep_logits, logits_and_target
from cals_mm.frameworks.logits import FIELD


def classified(logits: Tensor, score: Tensor | None = None, label: int | None = None) -> DataSample:
    sample = DataSample().set_gt_label(0)
    sample.set_pred_score(logits.softmax(0) if score is None else score)
    sample.set_pred_label(int(sample.pred_score.argmax()) if label is None else label)
    sample.set_field(logits, FIELD)
    return sample


def segmented(logits: Tensor, prediction: Tensor | None = None, label: Tensor | None = None):
    sample = SegDataSample(metainfo=dict(img_path="x.png"))
    prediction = logits.argmax(0, keepdim=True) if prediction is None else prediction
    label = torch.zeros(1, *logits.shape[1:], dtype=torch.int64) if label is None else label
    sample.set_data(
        {
            "seg_logits": PixelData(data=logits),
            "pred_sem_seg": PixelData(data=prediction),
            "gt_sem_seg": PixelData(data=label),
        }
    )
    return sample


needs_half = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version("2.2"),
    reason="torch before 2.2 has no float16 softmax on CPUs",
)


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float16, marks=needs_half), torch.bfloat16]
)
def test_logits_that_fit_stay_as_they_are(dtype):
    for logits in (torch.tensor([0.0, 300.0, -50.0]), torch.zeros(3), torch.randn(3)):
        sample = classified(logits.to(dtype))
        assert logits_and_target(sample)[0] is sample.get(FIELD)
    maps = torch.randn(5, 40, 200).to(dtype)
    assert logits_and_target(segmented(maps))[0].data_ptr() == maps.data_ptr()


@pytest.mark.parametrize("dtype", [pytest.param(torch.float16, marks=needs_half), torch.bfloat16])
def test_labels_of_scores_that_half_precision_makes_equal(dtype):
    logits = torch.randn(100000, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    scores = logits.softmax(1)
    tied = (scores.argmax(1) != logits.argmax(1)).nonzero()[:50, 0]
    assert len(tied) > 5
    for row, score in zip(logits[tied], scores[tied], strict=True):
        sample = classified(row, score)
        assert logits_and_target(sample)[0] is sample.get(FIELD)
    maps = logits[tied].T[:, :, None].contiguous()
    prediction = scores[tied].argmax(1)[None, :, None]
    assert logits_and_target(segmented(maps, prediction))[0].data_ptr() == maps.data_ptr()


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("other", [[0.7, 0.3, 0.0], [0.2, 0.5, 0.3], [0.34, 0.33, 0.33]])
def test_other_scores_are_taken_from_the_prediction(other, as_dict):
    sample = classified(torch.tensor([0.0, 9.0, 0.0]), torch.tensor(other))
    logits, _ = logits_and_target(sample.to_dict() if as_dict else sample)
    torch.testing.assert_close(logits.softmax(0), torch.tensor(other))
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    "sample, message",
    [
        (classified(torch.tensor([0.0, 9.0]), torch.tensor([0.9, 0.8])), "nor any probabilities"),
        (classified(torch.tensor([0.0, 9.0]), label=0), "is not the one of the largest"),
        (classified(torch.tensor([0.0, 9.0]), torch.tensor([9.0, 0.0])), "nor any probabilities"),
        (segmented(torch.randn(3, 8, 9), torch.zeros(1, 8, 9)), "of the pixels is not"),
        (segmented(torch.ones(3, 8, 9), torch.full((1, 8, 9), 7)), "100 % of the pixels is not"),
        (segmented(torch.randn(3, 8, 9), torch.zeros(1, 4, 9)), "has 36 pixels.*have 72"),
    ],
)
def test_what_fits_nothing_is_one_clear_error(sample, message):
    with pytest.raises(ValueError, match=message) as error:
        logits_and_target(sample)
    assert "\n" not in str(error.value)


def test_a_few_changed_pixels_are_seen():
    logits = torch.randn(4, 512, 1024)
    prediction = logits.argmax(0, keepdim=True)
    prediction[:, :40] = (prediction[:, :40] + 1) % 4  # a rule about the sky, say
    with pytest.raises(ValueError, match=r"of the pixels is not.*post-processed"):
        logits_and_target(segmented(logits, prediction))


@pytest.mark.parametrize("size", [(4, 9), (8, 1), (16, 18)])
def test_labels_of_another_size(size):
    with pytest.raises(ValueError, match=r"labels of shape .* behind Resize"):
        logits_and_target(segmented(torch.randn(3, 8, 9), label=torch.zeros(1, *size)))


# --- models that merge -----------------------------------------------------------------------


class Pass(nn.Module):
    def forward(self, x):
        return (x,)


class PassTwice(nn.Module):
    def forward(self, x):
        return ([x, x.flip(0)],)


def classifier(head, backbone=Pass, **options):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        head = dict(type=head, num_classes=3, **options)
        return build_classifier(dict(type="ImageClassifier", backbone=backbone(), head=head)).eval()


def linear():
    return classifier("LinearClsHead", in_channels=3)


class Ensemble(nn.Module):
    """Mean probability of two classifiers."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList([linear(), linear()])

    def forward(self, inputs, samples):
        scores = [
            torch.stack(
                [s.pred_score for s in m(inputs, [DataSample() for _ in inputs], "predict")]
            )
            for m in self.members
        ]
        mean = sum(scores) / 2
        for sample, score in zip(samples, mean):
            sample.set_pred_score(score).set_pred_label(int(score.argmax()))
        return samples


class Wrapper(nn.Module):
    """Around a classifier, under another name than any framework's."""

    def __init__(self):
        super().__init__()
        self.architecture = linear()

    def forward(self, inputs, samples):
        return self.architecture(inputs, samples, mode="predict")


class Headless(nn.Module):
    """The model is one network, as in TimmClassifier."""

    def __init__(self):
        super().__init__()
        self.network = nn.Linear(3, 3)

    def forward(self, inputs, samples):
        score = self.network(inputs).softmax(1)
        for sample, one in zip(samples, score):
            sample.set_pred_score(one).set_pred_label(int(one.argmax()))
        return samples


class TwoBranches(Headless):
    """The prediction is the softmax of a sum, as in ConformerHead."""

    def __init__(self):
        super().__init__()
        self.head = Branches()

    def forward(self, inputs, samples):
        score = sum(self.head(inputs)).softmax(1)
        for sample, one in zip(samples, score):
            sample.set_pred_score(one).set_pred_label(int(one.argmax()))
        return samples


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return [self.first(x), self.second(x)]


class FirstBranch(TwoBranches):
    """The second branch is for the training only."""

    def forward(self, inputs, samples):
        score = self.head(inputs)[0].softmax(1)
        for sample, one in zip(samples, score):
            sample.set_pred_score(one).set_pred_label(int(one.argmax()))
        return samples


HEADS = {
    "Conformer": (dict(head="ConformerHead", in_channels=[3, 3]), PassTwice),
    "DeiT": (dict(head="DeiTClsHead", in_channels=3), PassTwice),
    "EfficientFormer": (dict(head="EfficientFormerClsHead", in_channels=3), Pass),
    "LeViT": (dict(head="LeViTClsHead", in_channels=3), Pass),
}
"""Heads of mmpretrain with several branches."""


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_heads_with_branches(name):
    torch.manual_seed(0)
    options, backbone = HEADS[name]
    model = classifier(backbone=backbone, **options)
    for parameter in model.parameters():
        parameter.normal_()
    with keep_logits(model):
        samples = [DataSample().set_gt_label(1) for _ in range(4)]
        samples = model(torch.randn(4, 3), samples, mode="predict")
    for sample in samples:
        logits, _ = logits_and_target(sample)
        torch.testing.assert_close(logits.softmax(0), sample.pred_score, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [Ensemble, Wrapper, Headless, TwoBranches, FirstBranch])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@torch.no_grad()
def test_kept_logits_are_those_of_the_prediction(kind, scale):
    torch.manual_seed(0)
    model, inputs = kind().eval(), scale * torch.randn(5, 3)
    with keep_logits(model):
        samples = model(inputs, [DataSample().set_gt_label(1) for _ in inputs])
    for sample in samples:
        logits, target = logits_and_target(sample)
        torch.testing.assert_close(logits.softmax(0), sample.pred_score, rtol=1e-4, atol=1e-6)
        assert target == 1
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("count, scale", [(2, 1.0), (3, 1.0), (5, 30.0)])
@torch.no_grad()
def test_merged_views_of_a_classifier(count, scale):
    torch.manual_seed(0)
    inner = linear()
    model = AverageClsScoreTTA(module=inner)
    views = [scale * torch.randn(2, 3) for _ in range(count)]
    with keep_logits(model):
        predicted = [
            inner(view, [DataSample().set_gt_label(0) for _ in view], mode="predict")
            for view in views
        ]
        merged = model.merge_preds(list(zip(*predicted)))
    for k, sample in enumerate(merged):
        expected = torch.stack([inner.head((view,)).softmax(1)[k] for view in views]).mean(0)
        torch.testing.assert_close(logits_and_target(sample)[0].softmax(0), expected)
        assert sample.pred_label.item() == int(expected.argmax())
    assert "merge_preds" not in vars(model)


@pytest.mark.parametrize("agree", [True, False])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_merged_views_of_a_segmentor(agree, count):
    """mmsegmentation's merged sample holds the logits of the last view."""
    from mmseg.models import SegTTAModel

    torch.manual_seed(0)
    views = [torch.randn(3, 4, 5) * (1 if agree else 3) for _ in range(count)]
    if agree:
        views[1:] = [5 * k * views[0] for k in range(1, count)]
    model = SegTTAModel.__new__(SegTTAModel)
    BaseTTAModel.__bases__[0].__init__(model)
    model.module = nn.Module()
    model.module.out_channels = 3
    with keep_logits(model):
        (sample,) = model.merge_preds([[segmented(view) for view in views]])
    expected = torch.stack([F.softmax(view, 0) for view in views]).mean(0)
    logits, _ = logits_and_target(sample)
    torch.testing.assert_close(logits.softmax(0), expected)
