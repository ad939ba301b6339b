"""Segmentation heads that compute their losses before they resize their logits."""

from __future__ import annotations

from types import SimpleNamespace

import mmseg
import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmengine.utils import digit_version
from mmseg.models.decode_heads import EncHead, FCNHead
from mmseg.structures import SegDataSample

from cals_mm.hooks._fused_heads import fuse_heads, restore_heads
from tests.tiny import CLASSES, tiny_config
from tests.tiny import train as train_tiny

OLD_MMSEG = digit_version(mmseg.__version__) < digit_version("1.3")

CLASS_WEIGHT = [0.5, 1.0, 2.0, 0.1]
CALS = dict(type="CALSLoss", num_classes=4, margin=2.0)

COVERED = {
    "mmseg": dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=0.4),
    "avg_non_ignore": dict(type="CrossEntropyLoss", avg_non_ignore=True),
    "class_weight": dict(type="CrossEntropyLoss", class_weight=CLASS_WEIGHT, loss_weight=2.0),
    "sum": dict(type="CrossEntropyLoss", reduction="sum", loss_weight=0.001),
    "cals": dict(CALS, loss_weight=0.7, class_weight=CLASS_WEIGHT, label_smoothing=0.1),
    "cals on mmseg": dict(
        CALS,
        penalty_weight=3.0,
        base_loss=dict(type="CrossEntropyLoss", class_weight=CLASS_WEIGHT, loss_weight=0.3),
    ),
    "cals p3": dict(CALS, penalty="p3", class_reduction="sum"),
    "label smoothing": dict(type="SmoothedCrossEntropyLoss", label_smoothing=0.2),
    "mbls": dict(type="MbLSLoss", margin=1.0, weight=0.5),
    "several": [
        dict(type="CrossEntropyLoss", loss_name="loss_x"),
        dict(type="MbLSLoss", loss_name="loss_x"),
        CALS,
    ],
}

NOT_COVERED = {
    "dice": dict(loss_decode=[dict(type="CrossEntropyLoss"), dict(type="DiceLoss")]),
    "sigmoid": dict(loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True)),
    "sampler": dict(sampler=dict(type="OHEMPixelSampler", thresh=0.7, min_kept=10)),
    "binary": dict(num_classes=2, out_channels=1, loss_decode=dict(type="CrossEntropyLoss")),
    "cals on focal": dict(loss_decode=dict(CALS, base_loss=dict(type="FocalLoss"))),
    "cals on void pixels": dict(loss_decode=dict(CALS, ignore_index=None)),
    "no ignored label": dict(ignore_index=None),
}


def make_head(cls: type = FCNHead, **options) -> BaseModule:
    init_default_scope("mmseg")
    arguments = dict(in_channels=3, channels=4, num_convs=1, num_classes=4) | options
    if cls is EncHead:
        arguments |= dict(in_channels=[3, 3], in_index=(0, 1), num_codes=2)
        del arguments["num_convs"]
    return cls(**arguments)


def batch(height: int = 25, width: int = 38, void: float = 0.3) -> list[SegDataSample]:
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        label = torch.randint(0, 4, (1, height, width), generator=generator)
        label[torch.rand(label.shape, generator=generator) < void] = 255
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
    return samples


def values_and_gradient(head: BaseModule, samples: list) -> tuple[dict, torch.Tensor]:
    logits = 4 * torch.randn((2, 4, 7, 9), generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    values = head.loss_by_feat(logits, samples)
    total = sum(value for name, value in values.items() if "loss" in name)
    return values, torch.autograd.grad(total, logits)[0]


@pytest.mark.filterwarnings("ignore:Default ``avg_non_ignore``")
@pytest.mark.parametrize("void", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("name", COVERED)
def test_values_names_and_gradient_are_those_of_the_head(name, align_corners, void):
    if name in ("class_weight", "cals on mmseg") and void and OLD_MMSEG:
        pytest.skip("mmsegmentation before 1.3 looks for the class weight of void pixels")
    head = make_head(loss_decode=COVERED[name], align_corners=align_corners)
    samples = batch(void=void)
    expected, expected_gradient = values_and_gradient(head, samples)
    model = torch.nn.ModuleDict({"decode_head": head})
    assert fuse_heads(model) == (["decode_head"], [])
    got, gradient = values_and_gradient(head, samples)
    assert list(got) == list(expected)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-7)
    restore_heads(model)
    assert "loss_by_feat" not in vars(head)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NOT_COVERED)
def test_what_is_not_covered_stays(name):
    head = make_head(**NOT_COVERED[name])
    assert fuse_heads(torch.nn.ModuleDict({"head": head})) == ([], ["head"])
    assert "loss_by_feat" not in vars(head)


def test_a_head_with_a_loss_of_its_own_stays():
    assert fuse_heads(make_head(EncHead)) == ([], [""])


def test_a_loss_that_is_exchanged_while_training_is_the_one_that_counts():
    from mmseg.models.losses import DiceLoss

    head = make_head()
    fuse_heads(head)
    head.loss_decode = DiceLoss()
    assert list(values_and_gradient(head, batch())[0]) == ["loss_dice", "acc_seg"]
    restore_heads(head)


def train(root, work_dir: str, **changes) -> SimpleNamespace:
    cfg = tiny_config(root, steps=2, log_level="INFO", **changes)
    cfg.work_dir = str(root / work_dir)
    cfg.model.auxiliary_head = dict(
        type="FCNHead",
        in_channels=8,
        in_index=0,
        channels=8,
        num_convs=1,
        num_classes=len(CLASSES),
        norm_cfg=dict(type="BN"),
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4, avg_non_ignore=True),
    )
    runner = train_tiny(cfg)
    history = runner.message_hub.log_scalars
    scalars = {name: history[name].data[0] for name in history if "time" not in name}
    log = next((root / work_dir).rglob("*.log")).read_text("utf-8")
    return SimpleNamespace(runner=runner, scalars=scalars, log=log)


@pytest.fixture(scope="module")
def unfused(tmp_path_factory):
    root = tmp_path_factory.mktemp("fused")
    return root, train(root, "unfused", custom_hooks__1__fused_resize=False)


def test_training_is_the_same_but_for_rounding(unfused):
    root, before = unfused
    after = train(root, "fused")
    assert "Losses before resizing (fused_resize) in: decode_head, auxiliary_head\n" in after.log
    assert "fused_resize) in" not in before.log
    assert set(after.scalars) == set(before.scalars)
    for name, values in before.scalars.items():
        if "memory" not in name:
            torch.testing.assert_close(
                torch.tensor(after.scalars[name]), torch.tensor(values), rtol=2e-3, atol=2e-3
            )
    states = [run.runner.model.state_dict() for run in (before, after)]
    assert states[0].keys() == states[1].keys()
    assert all("loss_by_feat" not in vars(m) for m in after.runner.model.modules())
