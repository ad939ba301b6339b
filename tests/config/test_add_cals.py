"""`add_cals` on configs that the frameworks ship, and on made-up ones."""

import copy
from pathlib import Path

import mmpretrain
import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, METRICS, MODELS, DefaultScope

from cals_mm import CALSLoss, add_cals, with_method
from cals_mm.config import config_difference

from .configs import tiny_classifier, tiny_segmentor

SEG = Path(mmseg.__file__).parent / ".mim" / "configs"
CLS = Path(mmpretrain.__file__).parent / ".mim" / "configs"

PLAIN_CITYSCAPES = {"type": "CALSLoss", "num_classes": 19, "ignore_index": 255, "margin": 10.0}


def seg(name: str) -> Config:
    return Config.fromfile(SEG / name)


def cls(name: str) -> Config:
    return Config.fromfile(CLS / name)


@pytest.mark.parametrize(
    "name",
    [
        "deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py",
        "segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py",
        "bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py",
        "pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    ],
)
def test_segmentors_get_the_fused_loss_and_keep_their_auxiliary_heads(name):
    cfg = seg(name)
    auxiliary = copy.deepcopy(cfg.model.get("auxiliary_head"))
    new = add_cals(cfg)
    assert new.model.decode_head.loss_decode == PLAIN_CITYSCAPES
    assert new.model.get("auxiliary_head") == auxiliary
    assert new.custom_imports.imports == ["cals_mm"]
    assert new.custom_hooks[-1].type == "CALSMultiplierHook"
    for split in ("val", "test"):
        metrics = new[f"{split}_evaluator"]
        assert [metric.type for metric in metrics] == ["IoUMetric", "CalibrationMetric"]
        assert metrics[-1].ignore_index == 255


def test_transformer_segmentor_with_other_classes():
    new = add_cals(seg("upernet/upernet_r50_4xb4-20k_voc12aug-512x512.py"), margin=6)
    assert new.model.decode_head.loss_decode.num_classes == 21
    assert new.model.decode_head.loss_decode.margin == 6


@pytest.mark.parametrize(
    "name",
    [
        "ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py",
        "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py",
    ],
)
def test_in_a_cascade_the_last_head_gets_cals(name):
    cfg = seg(name)
    first = copy.deepcopy(cfg.model.decode_head[0])
    new = add_cals(cfg)
    assert new.model.decode_head[0] == first
    assert new.model.decode_head[-1].loss_decode.type == "CALSLoss"


def test_knet_gets_cals_in_the_head_whose_loss_serves_every_stage():
    new = add_cals(seg("knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py"))
    assert new.model.decode_head.kernel_generate_head.loss_decode.type == "CALSLoss"


def test_sampled_and_listed_losses_stay():
    new = add_cals(seg("pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py"))
    losses = new.model.decode_head.loss_decode
    assert [loss.type for loss in losses] == [
        "CrossEntropyLoss",
        "CALSLoss",
        "BoundaryLoss",
        "OhemCrossEntropy",
    ]
    assert losses[1].base_loss.type == "OhemCrossEntropy"


CE, OHEM = {"type": "CrossEntropyLoss"}, {"type": "OhemCrossEntropy"}


@pytest.mark.parametrize(
    ("cfg", "index"),
    [
        (seg("pidnet/pidnet-l_2xb6-120k_1024x1024-cityscapes.py"), 1),
        (seg("ddrnet/ddrnet_23_in1k-pre_2xb6-120k_cityscapes-1024x1024.py"), 0),
        (seg("ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py"), 0),
        (tiny_segmentor(type="PIDHead", loss_decode=[CE, OHEM, {"type": "BoundaryLoss"}, CE]), 1),
        (tiny_segmentor(type="mmseg.DDRHead", loss_decode=[OHEM, CE]), 0),
    ],
)
def test_of_several_outputs_the_loss_of_the_prediction_is_replaced(cfg, index):
    before = cfg.to_dict()["model"]["decode_head"]["loss_decode"]
    after = add_cals(cfg).model.decode_head.loss_decode
    assert [loss.type == "CALSLoss" for loss in after] == [k == index for k in range(len(before))]
    assert after[index].get("base_loss", CE) == before[index]
    assert all(after[k] == before[k] for k in range(len(before)) if k != index)


@pytest.mark.parametrize(
    "loss",
    [
        {"type": "CrossEntropyLoss", "class_weight": [1.0, 2.0, 1.0, 1.0]},
        {"type": "FocalLoss", "use_sigmoid": True},
        {"type": "OhemCrossEntropy", "thres": 0.9},
        {"type": "LovaszLoss", "reduction": "none"},
        {"type": "mmseg.DiceLoss"},
    ],
)
def test_other_segmentation_losses_become_the_base_loss(loss):
    new = add_cals(tiny_segmentor(loss_decode=loss))
    assert new.model.decode_head.loss_decode.base_loss == loss


def test_a_pixel_sampler_keeps_its_cross_entropy():
    new = add_cals(tiny_segmentor(sampler={"type": "OHEMPixelSampler", "thresh": 0.7}))
    assert new.model.decode_head.loss_decode.base_loss == {"type": "CrossEntropyLoss"}


def test_in_a_list_of_losses_the_cross_entropy_is_replaced():
    dice = {"type": "DiceLoss", "loss_name": "loss_dice"}
    cross_entropy = {"type": "CrossEntropyLoss", "loss_weight": 0.5}
    new = add_cals(tiny_segmentor(loss_decode=[dice, cross_entropy], ignore_index=11))
    assert new.model.decode_head.loss_decode == [
        dice,
        {
            "type": "CALSLoss",
            "num_classes": 4,
            "ignore_index": 11,
            "loss_weight": 0.5,
            "margin": 10.0,
        },
    ]
    assert new.val_evaluator[-1].ignore_index == 11


@pytest.mark.parametrize(
    ("name", "smoothing"),
    [
        ("resnet/resnet18_8xb16_cifar10.py", None),
        ("resnet/resnet50_8xb32_in1k.py", None),
        ("mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py", None),
        ("efficientnet/efficientnet-b0_8xb32_in1k.py", None),
        ("vgg/vgg16_8xb32_in1k.py", None),
        ("swin_transformer_v2/swinv2-tiny-w8_16xb64_in1k-256px.py", 0.1),
        ("vision_transformer/vit-base-p16_64xb64_in1k.py", 0.1 / 1.1),
        ("conformer/conformer-tiny-p16_8xb128_in1k.py", 0.1),
    ],
)
def test_classifiers(name, smoothing):
    new = add_cals(cls(name), margin=7.5)
    loss = new.model.head.loss
    assert loss.type == "CALSLoss"
    assert loss.margin == 7.5
    assert "base_loss" not in loss
    assert "ignore_index" not in loss
    if smoothing is None:
        assert "label_smoothing" not in loss
    else:
        assert loss.label_smoothing == pytest.approx(smoothing)
    assert [hook.type for hook in new.custom_hooks[-2:]] == ["CALSMultiplierHook", "KeepLogitsHook"]
    assert new.val_evaluator[-1] == {"type": "CalibrationMetric"}


@pytest.mark.parametrize("mode", ["original", "classy_vision"])
def test_label_smoothing_maps_exactly(mode):
    old = {
        "type": "LabelSmoothLoss",
        "label_smooth_val": 0.1,
        "num_classes": 4,
        "mode": mode,
        "loss_weight": 0.7,
    }
    new = add_cals(tiny_classifier(loss=old), penalty_weight=0.0).model.head.loss
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        for target in (torch.tensor([0, 1, 2, 3, 0, 1]), torch.softmax(logits.flip(0), 1)):
            expected = MODELS.build(old)(logits, target, avg_factor=6)
            actual = MODELS.build(new)(logits, target, avg_factor=6)
            torch.testing.assert_close(actual, expected)


def test_weighted_classification_loss_becomes_the_base_loss():
    loss = {"type": "CrossEntropyLoss", "class_weight": [1.0, 2.0, 3.0, 4.0]}
    assert add_cals(tiny_classifier(loss=loss)).model.head.loss.base_loss == loss


@pytest.mark.parametrize("scope", ["mmseg", "mmpretrain", None])
def test_the_names_resolve_from_every_scope(scope):
    new = add_cals(tiny_segmentor() if scope == "mmseg" else tiny_classifier())
    head = new.model.get("decode_head") or new.model.head
    loss = head.get("loss_decode") or head.loss
    with DefaultScope.overwrite_default_scope(scope):
        assert type(MODELS.build(loss)) is CALSLoss
        assert HOOKS.get(new.custom_hooks[0].type).__module__.startswith("cals_mm.")
        assert METRICS.get(new.val_evaluator[-1].type).__module__.startswith("cals_mm.")


def test_every_kind_of_shipped_config_either_works_or_says_why_not():
    unreadable = (ImportError, KeyError, RuntimeError)  # lack a package, or are broken as shipped
    done = 0
    for root in (SEG, CLS):
        folders = sorted(path for path in root.iterdir() if path.name not in ("_base_", "dsdl"))
        for folder in folders:
            file = next(iter(sorted(folder.glob("*.py"))), None)
            if file is None:
                continue
            try:
                cfg = Config.fromfile(file)
            except unreadable:
                continue
            try:
                new = add_cals(cfg)
            except ValueError as error:
                assert len(str(error).splitlines()) == 1
                assert str(error).split()[0] in ("model.decode_head", "model.head", "the")
            else:
                assert "CALSLoss" in str(new.model)
                done += 1
    assert done > 90


def mixing_classifier(head: str) -> Config:
    cfg = tiny_classifier(type=head)
    cfg.model.data_preprocessor = {"batch_augments": {"augments": [{"type": "Mixup"}]}}
    return cfg


def without_validation(**head) -> Config:
    cfg = tiny_classifier(**head)
    cfg.pop("val_dataloader")
    return cfg


def tiny_retriever(name: str) -> Config:
    cfg = tiny_classifier()
    cfg.model.type = name
    return cfg


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (cls("vgg/vgg16_8xb16_voc.py"), "multi-label"),
        (cls("csra/resnet101-csra_1xb16_voc07-448px.py"), "multi-label"),
        (cls("resnet/resnet50_8xb256-rsb-a1-600e_in1k.py"), "sigmoid"),
        (seg("maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py"), "classifies masks"),
        (tiny_segmentor(out_channels=1, num_classes=2), "out_channels=1"),
        (tiny_segmentor(loss_decode={"type": "CrossEntropyLoss", "use_sigmoid": True}), "sigmoid"),
        (tiny_segmentor(num_classes=1), "num_classes=1"),
        (tiny_classifier(loss={"type": "AsymmetricLoss"}), "sigmoid"),
        (tiny_classifier(num_classes=None), "num_classes"),
        (
            Config({"model": {"type": "TimmClassifier"}, "val_dataloader": {"a": 1}}),
            "TimmClassifier",
        ),
        (Config({"model": {"type": "MAE", "head": {"type": "MAEPretrainHead"}}}), "val_dataloader"),
        (Config({"a": 1}), "no model"),
        (
            Config({"model": {"decode_head": []}, "val_dataloader": {"a": 1}}),
            "decode_head is \\[\\]",
        ),
        (
            Config({"model": {"decode_head": None}, "val_dataloader": {"a": 1}}),
            "decode_head is None",
        ),
        (Config({"model": {"decode_head": ()}}), "decode_head is \\(\\)"),
        (Config({"model": {"decode_head": {}}}), "decode_head is {}"),
        (Config({"model": {"head": "LinearClsHead"}, "val_dataloader": {"a": 1}}), "dict\\(type"),
        (Config({"model": {"head": [{"num_classes": 4}]}}), "head is \\[.*dict\\(type"),
        (Config({"model": {"decode_head": [{}, "x"]}}), "decode_head\\[1\\] is 'x'"),
        (Config({"model": ["x"]}), "model is \\['x'\\]"),
        (tiny_classifier(loss="CrossEntropyLoss"), "head.loss is 'CrossEntropyLoss'.*dict"),
        (tiny_segmentor(loss_decode=["x"]), "loss_decode is \\['x'\\].*dict"),
        (tiny_classifier(num_classes="4"), "num_classes='4'; a whole number"),
        (tiny_classifier(type="ArcFaceClsHead"), "bare cosine"),
        (tiny_classifier(type="mmpretrain.ArcFaceClsHead"), "bare cosine"),
        (cls("arcface/resnet50-arcface_8xb32_inshop.py"), "ranks images"),
        (tiny_retriever("mmpretrain.BaseRetriever"), "ranks images"),
        (tiny_retriever("ImageToImageRetriever"), "ranks images"),
        (cls("resnet/resnet50_8xb32-mixup_in1k.py"), "type='LinearClsHead'"),
        (cls("resnet/resnet50_8xb32-cutmix_in1k.py"), "type='LinearClsHead'"),
        (mixing_classifier("MultiLabelLinearClsHead"), "type='LinearClsHead'"),
        (cls("resnet/resnet50_8xb256-rsb-a1-600e_in1k.py"), "mode='original'"),
        (tiny_classifier(loss={"type": "FocalLoss"}), "CrossEntropyLoss"),
        (tiny_classifier(loss={"type": "AsymmetricLoss"}), "CrossEntropyLoss"),
        (tiny_classifier(num_classes=None), "--method-options num_classes"),
        (cls("mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py"), "number of classes.*val_data"),
        (cls("simclr/simclr_resnet50_16xb256-coslr-200e_in1k.py"), "number of classes.*val_data"),
        (without_validation(type="CSRAClsHead"), "multi-label.*and the config has no val_data"),
        (without_validation(type="ArcFaceClsHead"), "bare cosine.*and the config has no val_data"),
        (
            tiny_segmentor(loss_decode=[{"type": "mmseg.CrossEntropyLoss", "use_sigmoid": True}]),
            "sigmoid",
        ),
        (
            tiny_segmentor(type="OtherHead", loss_decode=3 * [{"type": "mmseg.CrossEntropyLoss"}]),
            "3",
        ),
        (tiny_segmentor(type="MyHead", loss_decode=2 * [{"type": "CrossEntropyLoss"}]), "by hand"),
        (
            tiny_segmentor(
                type="cals.EdgeHead",
                loss_decode=[{"type": "CrossEntropyLoss"}, {"type": "OhemCrossEntropy"}],
            ),
            "EdgeHead with 2 cross entropies",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(cfg, message):
    with pytest.raises(ValueError, match=message) as caught:
        add_cals(cfg)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("cfg", "cure"),
    [
        (cls("resnet/resnet50_8xb32-mixup_in1k.py"), {"model.head.type": "LinearClsHead"}),
        (cls("resnet/resnet50_8xb32-cutmix_in1k.py"), {"model.head.type": "LinearClsHead"}),
        (
            cls("resnet/resnet50_8xb256-rsb-a1-600e_in1k.py"),
            {"model.head.loss.mode": "original", "model.head.loss.use_sigmoid": None},
        ),
        (tiny_classifier(loss={"type": "FocalLoss"}), {"model.head.loss.type": "CrossEntropyLoss"}),
        (
            tiny_segmentor(loss_decode={"type": "CrossEntropyLoss", "use_sigmoid": True}),
            {"model.decode_head.loss_decode.use_sigmoid": False},
        ),
    ],
)
def test_the_cure_that_a_refusal_names_cures(cfg, cure):
    with pytest.raises(ValueError):
        add_cals(cfg)
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict(cure)
    assert "CALSLoss" in str(add_cals(cfg).model)


SMOOTH = {"type": "LabelSmoothLoss", "label_smooth_val": 0.1, "num_classes": 4}


def switching(*losses, kind="SwitchRecipeHook"):
    cfg = tiny_classifier()
    schedule = [{"action_epoch": i + 2, "loss": loss} for i, loss in enumerate(losses)]
    schedule.append({"action_epoch": 9, "batch_augments": None})
    cfg.custom_hooks = [{"type": "EMAHook"}, {"type": kind, "schedule": schedule}]
    return cfg


@pytest.mark.parametrize("kind", ["SwitchRecipeHook", "mmpretrain.SwitchRecipeHook"])
def test_losses_that_come_later_are_replaced_too(kind):
    weighted = {"type": "CrossEntropyLoss", "class_weight": [1.0, 2.0, 1.0, 1.0]}
    before = switching(SMOOTH, {"type": "CrossEntropyLoss"}, weighted, kind=kind)
    cfg = add_cals(before, margin=6.0)
    ours = {"type": "CALSLoss", "num_classes": 4, "margin": 6.0}
    assert cfg.custom_hooks[1].schedule == [
        {"action_epoch": 2, "loss": {**ours, "label_smoothing": 0.1}},
        {"action_epoch": 3, "loss": ours},
        {"action_epoch": 4, "loss": {**ours, "base_loss": weighted}},
        {"action_epoch": 9, "batch_augments": None},
    ]
    assert before.custom_hooks[1].schedule[0].loss == SMOOTH
    assert with_method(before, "ce").custom_hooks[1] == before.custom_hooks[1]
    with pytest.warns(UserWarning, match="epoch 4 of the SwitchRecipeHook .* is dropped"):
        other = with_method(before, "mbls", margin=6.0)
    assert other.custom_hooks[1].schedule[0].loss.type == "MbLSLoss"


def test_a_sigmoid_that_comes_later_is_refused():
    sigmoid = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    with pytest.raises(ValueError, match="of epoch 3 of the SwitchRecipeHook trains sigmoid"):
        add_cals(switching(SMOOTH, sigmoid))


@pytest.mark.parametrize("head", ["FCNHead", "mmseg.PSPHead", "SegmenterMaskTransformerHead"])
def test_the_cross_entropies_of_one_output_may_be_several(head):
    new = add_cals(tiny_segmentor(type=head, loss_decode=[CE, OHEM])).model.decode_head.loss_decode
    assert [loss["type"] for loss in new] == ["CALSLoss", "OhemCrossEntropy"]


def test_cals_twice_is_refused():
    once = add_cals(tiny_classifier())
    with pytest.raises(ValueError, match="CALS already"):
        add_cals(once)


@pytest.mark.parametrize("margin", [0, -1.0, float("nan"), float("inf")])
def test_margin_must_be_positive(margin):
    with pytest.raises(ValueError, match="margin must be a positive number"):
        add_cals(tiny_classifier(), margin=margin)


def test_unknown_options_and_other_types_are_refused():
    with pytest.raises(TypeError, match="no argument 'rho'"):
        add_cals(tiny_classifier(), rho=3.0)
    with pytest.raises(TypeError, match="mmengine Config, got dict"):
        add_cals({"model": {}})


def test_options_reach_loss_hook_and_metric():
    new = add_cals(
        tiny_classifier(),
        class_reduction="sum",
        margin="auto",
        hook={"allow_test_data": True},
        metric={"num_bins": 20},
    )
    assert new.model.head.loss.class_reduction == "sum"
    assert new.model.head.loss.margin == "auto"
    assert new.custom_hooks[0] == {"type": "CALSMultiplierHook", "allow_test_data": True}
    assert new.val_evaluator[-1].num_bins == 20


def test_the_given_config_does_not_change():
    cfg = tiny_classifier()
    before = cfg.pretty_text
    add_cals(cfg)
    assert cfg.pretty_text == before


def test_what_was_there_stays():
    cfg = tiny_classifier()
    cfg.custom_imports = {"imports": "my_package", "allow_failed_imports": True}
    cfg.custom_hooks = [{"type": "EMAHook"}]
    cfg.val_evaluator = [{"type": "Accuracy"}, {"type": "CalibrationMetric", "num_bins": 5}]
    cfg.test_evaluator = {"type": "Accuracy", "format_only": True}
    new = add_cals(cfg)
    assert new.custom_imports.imports == ["my_package", "cals_mm"]
    assert new.custom_imports.allow_failed_imports
    assert [hook.type for hook in new.custom_hooks][:2] == ["EMAHook", "CALSMultiplierHook"]
    assert new.val_evaluator == cfg.val_evaluator
    assert new.test_evaluator == cfg.test_evaluator


def test_an_evaluator_written_out_gains_the_metric():
    cfg = tiny_classifier()
    cfg.val_evaluator = {"type": "Evaluator", "metrics": {"type": "Accuracy"}}
    metrics = add_cals(cfg).val_evaluator.metrics
    assert [metric.type for metric in metrics] == ["Accuracy", "CalibrationMetric"]


def test_the_difference_shows_what_changed_and_nothing_else():
    cfg = tiny_classifier()
    difference = config_difference(cfg, add_cals(cfg))
    added = [line for line in difference.splitlines() if line.startswith("+")]
    assert any("type='CALSLoss'" in line for line in added)
    assert any("CALSMultiplierHook" in line for line in added)
    assert config_difference(cfg, cfg) == ""
