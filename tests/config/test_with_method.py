"""`with_method` for every method of the table."""

import warnings

import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS

from cals_mm import add_cals, with_method
from cals_mm.methods import METHODS

from .configs import tiny_classifier, tiny_segmentor

BOTH = {"segmentation": tiny_segmentor, "classification": tiny_classifier}


def trained(cfg: Config, name: str, **options) -> dict:
    """Loss of the head once the config is trained with the method, without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = with_method(cfg, name, **options)
    head = new.model.get("decode_head") or new.model.head
    return head.get("loss_decode") or head.loss


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_loss_and_its_hook(name, kind):
    method, cfg = METHODS[name], BOTH[kind]()
    cfg.method_defaults = {"margin": 6.5, "num_samples": 12}
    if method.only not in (None, kind):
        with pytest.raises(ValueError, match=f"{name} is for {method.only}; .* of {kind}"):
            with_method(cfg, name)
        return
    new = with_method(cfg, name)
    head = new.model.get("decode_head") or new.model.head
    config = head.get("loss_decode") or head.get("loss")
    hooks = [hook.type for hook in new.custom_hooks]
    assert ("KeepLogitsHook" in hooks) == (kind == "classification")
    assert [h for h in hooks if h != "KeepLogitsHook"] == ([method.hook] if method.hook else [])
    assert new.val_evaluator[-1].type == "CalibrationMetric"
    assert new.custom_imports.imports == ["cals_mm"]
    for hook in new.custom_hooks:
        HOOKS.build(hook)
    if method.loss is None:
        assert config is None
        return
    assert type(MODELS.build(config)) is method.loss
    taken = {key: config[key] for key in method.takes}
    known = {"num_classes": 4, "margin": 6.5, "num_samples": 12}
    assert taken == {key: known[key] for key in method.takes}
    assert {key: config[key] for key in method.arguments} == method.arguments


def test_add_cals_is_the_case_of_cals():
    cfg = tiny_segmentor()
    assert add_cals(cfg).to_dict() == with_method(cfg, "cals").to_dict()
    new = add_cals(cfg, margin=7.0)
    assert new.to_dict() == with_method(cfg, "cals", margin=7.0).to_dict()
    cfg.method_defaults = {"margin": 3.0}
    assert trained(cfg, "cals")["margin"] == 3.0
    assert trained(cfg, "cals", margin=4.0)["margin"] == 4.0


def test_what_a_cross_entropy_says_is_carried_over():
    weighted = {"type": "CrossEntropyLoss", "loss_weight": 0.4}
    assert trained(tiny_segmentor(loss_decode=weighted), "focal")["loss_weight"] == 0.4
    smoothed = {"type": "LabelSmoothLoss", "label_smooth_val": 0.2, "num_classes": 4}
    assert trained(tiny_classifier(loss=smoothed), "mbls")["label_smoothing"] == 0.2


def test_in_a_list_the_cross_entropy_is_replaced():
    dice = {"type": "DiceLoss", "loss_name": "loss_dice"}
    losses = trained(tiny_segmentor(loss_decode=[dice, {"type": "CrossEntropyLoss"}]), "brier")
    assert losses == [dice, {"type": "BrierLoss", "ignore_index": 255}]


@pytest.mark.parametrize(
    "loss",
    [
        {"type": "OhemCrossEntropy", "thres": 0.9},
        {"type": "CrossEntropyLoss", "class_weight": [1.0, 2.0, 1.0, 1.0]},
        {"type": "LabelSmoothLoss", "label_smooth_val": 0.1},
    ],
)
def test_a_loss_that_is_dropped_is_named(loss):
    with pytest.warns(UserWarning, match=rf"the {loss['type']} of model\.decode_head .*dropped"):
        new = with_method(tiny_segmentor(loss_decode=loss), "focal")
    assert new.model.decode_head.loss_decode == {"type": "SoftmaxFocalLoss", "ignore_index": 255}
    extended = trained(tiny_segmentor(loss_decode=loss), "cals")
    assert extended.get("base_loss", loss) == loss
    assert ("base_loss" in extended) != ("label_smoothing" in extended)


def test_the_number_of_samples_has_no_default():
    with pytest.raises(ValueError, match=r"cals_sample needs num_samples; .*method_defaults"):
        with_method(tiny_classifier(), "cals_sample")
    assert trained(tiny_classifier(), "cals_sample", num_samples=9)["num_samples"] == 9


def test_what_learns_from_no_validation_needs_none():
    cfg = tiny_classifier()
    cfg.pop("val_dataloader")
    assert trained(cfg, "mbls")["type"] == "MbLSLoss"
    with pytest.raises(ValueError, match="no val_dataloader; adafocal learns"):
        with_method(cfg, "adafocal")


@pytest.mark.parametrize("first", [name for name in METHODS if METHODS[name].hook])
@pytest.mark.parametrize("second", ["cals", "mbls"])
def test_a_method_with_state_is_not_replaced_or_extended(first, second):
    build = BOTH[METHODS[first].only or "segmentation"]
    options = {"num_samples": 9} if "num_samples" in METHODS[first].takes else {}
    cfg = with_method(build(), first, **options)
    loss = METHODS[first].loss.__name__
    what = "CALS" if loss == "CALSLoss" else "a method"
    hooks_first = Config({"custom_hooks": cfg.custom_hooks, **cfg.to_dict()})
    for one in (cfg, hooks_first):
        with pytest.raises(ValueError, match=rf"the config has {what} already \({loss}\)"):
            with_method(one, second)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("calls", {}, ValueError, "no method is called 'calls'; there are: ce, .*cals"),
        ("focal", {"margin": 3.0}, TypeError, "SoftmaxFocalLoss has no argument 'margin'"),
        ("ce", {"weight": 3.0}, TypeError, "ce leaves the loss as it is .* got weight"),
        ("mbls", {"margin": -1}, ValueError, "margin must be a positive number, got -1"),
        ("mbls", {"hook": {"allow_test_data": True}}, TypeError, "mbls has no hook"),
    ],
)
def test_errors(name, options, error, message):
    with pytest.raises(error, match=message):
        with_method(tiny_segmentor(), name, **options)


def test_method_defaults_hold_what_methods_take():
    cfg = tiny_classifier()
    cfg.method_defaults = {"margins": 3.0}
    with pytest.raises(ValueError, match="holds 'margins'; it may hold margin and num_samples"):
        with_method(cfg, "mbls")
