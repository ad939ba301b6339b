"""Training data that a config holds out of itself; everything here is config, no data are read."""

import copy
import pickle
from pathlib import Path

import pytest
from mmengine.config import Config

pytest.importorskip("mmseg", reason="mmseg is not installed: pip install 'cals-mm[onedl]'")
pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

import mmpretrain
import mmseg

from cals_mm import add_cals, with_method
from cals_mm.config import hold_out_training_data, shares_test_files

SEG = Path(mmseg.__file__).parent / ".mim" / "configs"
CLS = Path(mmpretrain.__file__).parent / ".mim" / "configs"
VOC = "fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py"


def voc() -> Config:
    return Config.fromfile(SEG / VOC)


def leaf(name: str, **more) -> dict:
    return dict(type="CityscapesDataset", data_root=name, pipeline=[dict(type="Flip")], **more)


def made_of(train: dict, **more) -> Config:
    reading = dict(leaf("val"), pipeline=[dict(type="Pack")])
    loaders = {"val_dataloader": dict(dataset=reading), "test_dataloader": dict(dataset=reading)}
    return Config({"train_dataloader": dict(batch_size=2, dataset=train), **loaders, **more})


def test_a_config_before_and_after() -> None:
    cfg = voc()
    assert shares_test_files(cfg)
    test = copy.deepcopy(cfg.test_dataloader)
    new = add_cals(cfg, hold_out=0.1, hold_out_by="dir")
    assert cfg.pretty_text == voc().pretty_text, "the given config does not change"
    assert not shares_test_files(new)
    assert new.test_dataloader == test
    train, val = new.train_dataloader.dataset, new.val_dataloader.dataset
    for part, split in ((train, "train"), (val, "val")):
        assert part.type == "HoldOutSplit" and part.split == split
        assert (part.fraction, part.by, part.seed) == (0.1, "dir", 0)
    assert train.dataset == cfg.train_dataloader.dataset
    for before, after in zip(
        cfg.train_dataloader.dataset.datasets, val.dataset.datasets, strict=True
    ):
        assert after.pipeline == cfg.val_dataloader.dataset.pipeline
        assert {**after, "pipeline": 0} == {**before, "pipeline": 0}
    assert new.val_dataloader.sampler == cfg.val_dataloader.sampler
    assert new.custom_imports["imports"] == ["cals_mm"]
    assert {"type": "EpochValidationHook"} in new.custom_hooks
    pickle.loads(pickle.dumps(new))
    Config.fromstring(new.pretty_text, ".py")


def test_without_it_nothing_is_held_out() -> None:
    new = add_cals(voc())
    assert new.val_dataloader == voc().val_dataloader
    assert "EpochValidationHook" not in str(new.custom_hooks)


def test_epoch_loops_keep_their_interval() -> None:
    cfg = Config.fromfile(CLS / "resnet/resnet18_8xb16_cifar10.py")
    assert shares_test_files(cfg)
    new = with_method(cfg, "ce", hold_out=0.2)
    assert "EpochValidationHook" not in str(new.get("custom_hooks"))
    assert new.val_dataloader.dataset.dataset.split == "train"
    assert new.val_dataloader.dataset.dataset.pipeline == cfg.val_dataloader.dataset.pipeline


def test_wrappers_are_read_once() -> None:
    inner = dict(type="RepeatDataset", times=9, dataset=leaf("train"))
    cfg = made_of(dict(type="ClassBalancedDataset", oversample_thr=0.1, dataset=inner))
    hold_out_training_data(cfg, 0.1)
    assert cfg.train_dataloader.dataset.dataset.dataset == inner
    val = cfg.val_dataloader.dataset.dataset
    assert val.type == "CityscapesDataset" and val.pipeline == [dict(type="Pack")]


def test_pictures_that_are_mixed_are_training_pictures() -> None:
    mix = dict(type="MultiImageMixDataset", pipeline=[dict(type="Mosaic")], dataset=leaf("train"))
    cfg = made_of(mix)
    hold_out_training_data(cfg, 0.1)
    train = cfg.train_dataloader.dataset
    assert train.type == "MultiImageMixDataset"
    assert train.dataset.type == "HoldOutSplit" and train.dataset.dataset == leaf("train")
    assert cfg.val_dataloader.dataset.dataset.type == "CityscapesDataset"


def test_a_data_set_that_chooses_stays() -> None:
    tail = dict(type="LongTailDataset", ratio=10, dataset=leaf("train"))
    cfg = made_of(tail)
    hold_out_training_data(cfg, 0.1)
    val = cfg.val_dataloader.dataset.dataset
    assert val.type == "LongTailDataset" and val.dataset.pipeline == [dict(type="Pack")]


@pytest.mark.parametrize(
    "changes, fraction, message",
    [
        ({}, 0, "a fraction between 0 and 1, got 0"),
        ({}, 10, "a fraction between 0 and 1, got 10"),
        ({"train_dataloader": None}, 0.1, "must each have one dataset"),
        ({"train_dataloader": [dict(dataset=leaf("a"))]}, 0.1, "must each have one dataset"),
        ({"val_dataloader": dict(dataset=dict(type="A"))}, 0.1, "has no pipeline"),
    ],
)
def test_what_cannot_work_is_one_line(changes: dict, fraction: float, message: str) -> None:
    cfg = made_of(leaf("train"))
    for key, value in changes.items():
        cfg[key] = value
    with pytest.raises(ValueError, match=message) as error:
        hold_out_training_data(cfg, fraction)
    assert "\n" not in str(error.value)


def test_several_validation_sets_are_each_compared_with_the_test_set() -> None:
    cfg = made_of(leaf("train"))
    cfg.test_dataloader = dict(dataset=leaf("test"))
    cfg.val_dataloader = [dict(dataset=leaf("a")), dict(dataset=leaf("b"))]
    assert not shares_test_files(cfg)
    cfg.val_dataloader[1] = dict(dataset=leaf("test"))
    assert shares_test_files(cfg)


def test_groups_need_a_share() -> None:
    with pytest.raises(ValueError, match="hold_out_by='dir' needs hold_out"):
        add_cals(voc(), hold_out_by="dir")


@pytest.mark.slow
def test_no_shipped_config_is_refused_for_its_test_set() -> None:
    """Every config of the frameworks that takes CALS, most of which validate on their test set."""
    shared = taken = 0
    for root in (SEG, CLS):
        for file in sorted(root.rglob("*.py")):
            if "_base_" in file.parts:
                continue
            try:
                cfg = Config.fromfile(file, import_custom_modules=False)
                add_cals(cfg)
            except Exception:
                continue  # what the frameworks cannot read, and what is refused for another reason
            taken += 1
            if shares_test_files(cfg):
                shared += 1
                cfg = add_cals(cfg, hold_out=0.1)
            assert not shares_test_files(cfg), file
    assert taken > 1000 and shared > 900
