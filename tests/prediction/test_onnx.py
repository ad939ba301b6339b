"""ONNX files of both frameworks' models in onnxruntime, beside the frameworks' own predictions."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
pytest.importorskip("mmseg", reason="mmsegmentation is not installed")
pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")

from cals_mm.commands.export_onnx import main
from cals_mm.prediction import ImageModel, Input
from tests.pages import ROOT

SEGFORMER_B0 = dict(
    backbone=dict(
        type="MixVisionTransformer",
        in_channels=3,
        embed_dims=32,
        num_stages=4,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        out_indices=(0, 1, 2, 3),
        mlp_ratio=4,
        qkv_bias=True,
    ),
    decode_head=dict(
        type="SegformerHead",
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=256,
        num_classes=11,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        loss_decode=dict(type="CALSLoss", num_classes=11),
    ),
)


def cals_config(name: str) -> Config:
    if name != "segformer-b0":
        return Config.fromfile(ROOT / f"configs/cals/{name}.py")
    cfg = Config.fromfile(ROOT / "configs/cals/deeplabv3_camvid.py")
    for part, changed in copy.deepcopy(SEGFORMER_B0).items():
        cfg.model[part] = ConfigDict(changed)
    return cfg


def test_modules_of_the_config_are_imported(tmp_path, monkeypatch):
    (tmp_path / "a_backbone_of_mine.py").write_text(
        "from mmpretrain.models import ResNet_CIFAR\n"
        "from mmpretrain.registry import MODELS\n\n"
        "@MODELS.register_module()\n"
        "class BackboneOfMine(ResNet_CIFAR):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    cfg = Config.fromfile(ROOT / "configs/ce/resnet_digits-lt.py")
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        state = MODELS.build(cfg.model).state_dict()
    cfg.model.backbone.type = "BackboneOfMine"
    cfg.custom_imports = dict(imports=["a_backbone_of_mine"])
    assert type(ImageModel(cfg, state).model.backbone).__name__ == "BackboneOfMine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "output"),
    [
        ("deeplabv3_camvid", (48, 64), "probabilities"),
        ("segformer-b0", (64, 64), "probabilities"),
        ("resnet_digits-lt", (8, 8), "logits"),
    ],
)
def test_the_file_predicts_as_the_framework(name, size, output, tmp_path, capsys):
    from onnxruntime import InferenceSession

    cfg = cals_config(name)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    for module in model.modules():  # statistics as of a trained network
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(model.state_dict(), tmp_path / "model.pth")
    cfg.dump(tmp_path / "config.py")
    files = [str(tmp_path / name) for name in ("config.py", "model.pth", "model.onnx")]
    main([*files, "--size", *map(str, size), *(["--logits"] if output == "logits" else [])])
    assert "at most" in capsys.readouterr().out

    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    predictor = ImageModel(cfg, model.state_dict())
    image = predictor.read(Input(str(tmp_path / "image.png"), ""))
    (expected,) = predictor.predict([image])
    session = InferenceSession(files[2])
    (found,) = session.run([output], {"image": image.packed["inputs"][None].float().numpy()})
    logits = expected.logits.numpy()
    wanted = logits if output == "logits" else expected.logits.softmax(0).numpy()
    np.testing.assert_allclose(found[0], wanted, atol=1e-4 * max(1, abs(wanted).max()))
    assert wanted.std() > 1e-3
    with pytest.raises(ValueError, match="exists and is not overwritten"):
        main([*files, "--size", *map(str, size)])


def test_sizes_that_the_model_would_pad_are_refused(tmp_path):
    cfg = cals_config("deeplabv3_camvid")
    cfg.model.data_preprocessor.test_cfg.size_divisor = 32
    cfg.dump(tmp_path / "config.py")
    with DefaultScope.overwrite_default_scope("mmseg"):
        torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / "model.pth")
    files = [str(tmp_path / name) for name in ("config.py", "model.pth", "model.onnx")]
    with pytest.raises(ValueError, match="pads images of 48 x 64 pixels.* multiples of 32"):
        main([*files, "--size", "48", "64"])
    assert not (tmp_path / "model.onnx").exists()
