"""`--cals` on configs of mmpretrain's model zoo: one step, one validation, one update."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS

pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

import mmpretrain
from mmpretrain.datasets import BaseDataset

from cals_mm import add_cals
from tests.tiny import train
from tests.tiny_classifier import lagrangian_of

ZOO = Path(mmpretrain.__file__).parent / ".mim" / "configs"
NUM_CLASSES = 3


@DATASETS.register_module()
class RandomImages(BaseDataset):
    """Images of noise, in memory."""

    METAINFO = {"classes": ("a", "b", "c")}

    def __init__(self, size: int, count: int, **kwargs) -> None:
        self.size, self.count = size, count
        super().__init__(ann_file="", **kwargs)

    def load_data_list(self) -> list[dict]:
        generator = np.random.default_rng(0)
        return [
            {
                "img": generator.integers(0, 256, (self.size, self.size, 3), dtype=np.uint8),
                "gt_label": index % NUM_CLASSES,
            }
            for index in range(self.count)
        ]


def small(cfg: Config, size: int, root: Path) -> Config:
    """The config with few classes, few images and its own model, loss, schedule and hooks."""
    cfg.model.head.num_classes = NUM_CLASSES
    cfg.data_preprocessor.num_classes = NUM_CLASSES
    for split, count in (("train", 2), ("val", 3), ("test", 3)):
        pack = [dict(type="PackInputs")]
        cfg[f"{split}_dataloader"] = dict(
            batch_size=count,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=split == "train"),
            dataset=dict(type="RandomImages", size=size, count=count, pipeline=pack),
        )
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    # The zoo's warm-up is longer than one epoch; a step at its full rate may diverge.
    cfg.param_scheduler = [dict(type="ConstantLR", factor=1e-3, by_epoch=True)]
    cfg.val_evaluator = cfg.test_evaluator = dict(type="Accuracy", topk=(1,))
    cfg.log_level = "ERROR"
    cfg.work_dir = str(root)
    cfg.default_hooks.pop("visualization", None)
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", interval=-1)
    return cfg


SWIN = dict(
    arch=dict(
        embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], extra_norm_every_n_blocks=0
    )
)


# After one usual step the running statistics are far from the data's, and scores overflow.
EFFICIENTNET = dict(norm_cfg=dict(type="BN", eps=1e-3, momentum=1.0))


@pytest.mark.parametrize(
    "name, size, backbone, in_channels",
    [
        ("resnet/resnet18_8xb32_in1k", 32, {}, None),
        ("swin_transformer_v2/swinv2-tiny-w8_16xb64_in1k-256px", 256, SWIN, 96),
        (
            "vision_transformer/vit-base-p16_32xb128-mae_in1k",
            32,
            dict(arch="deit-tiny", img_size=32),
            192,
        ),
        ("mobilenet_v3/mobilenet-v3-small_8xb128_in1k", 32, {}, None),
        ("efficientnet/efficientnet-b0_8xb32_in1k", 128, EFFICIENTNET, None),
    ],
    ids=["resnet", "swinv2", "vit", "mobilenetv3", "efficientnet"],
)
def test_one_step_one_validation_one_update(
    name: str, size: int, backbone: dict, in_channels: int | None, tmp_path: Path
) -> None:
    cfg = small(Config.fromfile(ZOO / f"{name}.py"), size, tmp_path)
    cfg.model.backbone.update(backbone)
    if in_channels is not None:
        cfg.model.head.in_channels = in_channels
    runner = train(add_cals(cfg, margin=0.01, hook=dict(draw=False)))
    lagrangian = lagrangian_of(runner)
    assert runner.iter == 1
    assert int(lagrangian.num_updates) == 1
    assert lagrangian.num_classes == NUM_CLASSES
    assert lagrangian.multipliers.isfinite().all()
    assert torch.is_tensor(lagrangian.rho)


def test_heads_without_a_softmax_are_refused() -> None:
    cfg = Config.fromfile(ZOO / "csra" / "resnet101-csra_1xb16_voc07-448px.py")
    with pytest.raises(ValueError, match="CSRAClsHead, which scores each label on its own"):
        add_cals(cfg)
