"""Configs that MMEngine refuses at length, or late, end in one line before anything starts."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import MODELS
from mmpretrain.models import ImageClassifier

from cals_mm.runs import check_training, load_config
from cals_mm.runs.errors import run
from tests.tiny import train
from tests.tiny_classifier import tiny_classifier


def training(**changes) -> Config:
    cfg = dict(
        model=dict(type="X"),
        train_dataloader=dict(),
        train_cfg=dict(),
        optim_wrapper=dict(type="OptimWrapper"),
        val_dataloader=dict(),
        val_cfg=dict(),
        val_evaluator=dict(),
    )
    return Config({**cfg, **changes})


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(val_cfg=None), "but no val_cfg: add val_cfg = dict"),
        (dict(test_dataloader=dict(), test_evaluator=dict()), "but no test_cfg: add test_cfg"),
        (dict(val_evaluator=None), "no val_evaluator"),
        (dict(val_dataloader=None), "no val_dataloader"),
        (dict(train_dataloader=None), "no train_dataloader, so nothing can be trained"),
        (dict(train_cfg=None), "no train_cfg"),
        (dict(optim_wrapper=None), "no optim_wrapper"),
        (dict(optim_wrapper=dict(type="AmpOptimWrapper")), "needs a GPU: pass --amp"),
        (dict(optim_wrapper=dict(type="mmengine.AmpOptimWrapper")), "needs a GPU"),
        (dict(optim_wrapper=dict(type="mmengine.optim.AmpOptimWrapper")), "needs a GPU"),
        (dict(optim_wrapper=dict(type=AmpOptimWrapper, dtype="float16")), "needs a GPU"),
    ],
)
def test_one_line_before_the_start(monkeypatch, changes: dict, message: str) -> None:
    monkeypatch.setattr("cals_mm.runs.config_file.get_device", lambda: "cpu")
    with pytest.raises(ValueError, match=message) as error:
        check_training(training(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes", [{}, dict(val_dataloader=None, val_cfg=None, val_evaluator=None)]
)
def test_what_can_be_trained_passes(changes: dict) -> None:
    check_training(training(**changes))


@pytest.mark.parametrize(
    "scope, base",
    [
        ("mmseg", "mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
        ("mmseg", "mmsegmentation::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
        ("mmpretrain", "mmpretrain::resnet/resnet18_8xb32_in1k.py"),
    ],
)
def test_a_base_by_scope_says_what_to_write(tmp_path: Path, monkeypatch, scope, base) -> None:
    name = {"mmseg": "mmsegmentation", "mmpretrain": "mmpretrain"}[scope]
    file = tmp_path / "config.py"
    file.write_text(f"_base_ = {base!r}\n")

    def refuse(*args, **kwargs):  # as MMEngine on the maintained stack
        raise ModuleNotFoundError(f"{name} is not installed, please install {name} manually")

    monkeypatch.setattr(Config, "fromfile", refuse)
    with pytest.raises(ValueError, match=rf"would break it.*{scope}/.mim/configs") as error:
        load_config(str(file))
    assert "\n" not in str(error.value)


def test_another_missing_package_is_named_as_ever(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "config.py"
    file.touch()

    def refuse(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'nobodys_package'", name="nobodys_package")

    monkeypatch.setattr(Config, "fromfile", refuse)
    with pytest.raises(ImportError, match="nobodys_package"):
        load_config(str(file))


@MODELS.register_module()
class WithoutLoss(ImageClassifier):
    """A model for predictions."""

    def loss(self, inputs, data_samples):
        raise NotImplementedError("this model is for predictions")


@pytest.mark.parametrize(
    "changes, text",
    [
        (dict(model__head__type="LeViTClsHead"), "support training in distillation mode"),
        (dict(model__head__type="EfficientFormerClsHead"), "to train the distilled version"),
        (dict(model__type="WithoutLoss"), "this model is for predictions"),
    ],
)
def test_a_model_that_cannot_be_trained_ends_in_one_line(tmp_path, capsys, changes, text) -> None:
    cfg = tiny_classifier(tmp_path, **changes)
    with pytest.raises(SystemExit) as end:
        run(lambda argv: train(cfg))
    assert end.value.code == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert text in line
