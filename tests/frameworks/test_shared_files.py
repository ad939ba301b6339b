"""Whether the multipliers would be learned on test files, and test sets that are not there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, DefaultScope
from torch.utils.data import DataLoader, Subset

from cals_mm.frameworks.shared_files import shared_files
from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier


@DATASETS.register_module()
class NeedsPackage(BaseDataset):
    """A data set whose reader is not installed."""

    def load_data_list(self) -> list:
        raise ModuleNotFoundError("No module named 'reader'")


@DATASETS.register_module()
class Listless(BaseDataset):
    """A data set that forgets what is missing."""

    def load_data_list(self) -> list:
        raise StopIteration


def segmentation(root: Path, **changes: Any) -> dict:
    dataset = tiny_config(root).test_dataloader.dataset.to_dict()
    return {**dataset, **changes}


MISSING = {
    "no folder": lambda root: segmentation(root, data_root=str(root / "elsewhere")),
    "no list of names": lambda root: segmentation(root, ann_file="splits/test.txt"),
    "no folder of a classifier": lambda root: dict(
        type="mmpretrain.CustomDataset", data_root=str(root), data_prefix="nowhere", pipeline=[]
    ),
    "empty folder": lambda root: dict(
        type="mmpretrain.CustomDataset", data_root=str(root), data_prefix="there", pipeline=[]
    ),
    "no package": lambda root: dict(type="NeedsPackage"),
    "no such data set": lambda root: dict(type="mmseg.NobodysDataset"),
    "broken in its own way": lambda root: dict(type="Listless"),
    "inside of another": lambda root: dict(
        type="ConcatDataset", datasets=[segmentation(root, data_root=str(root / "elsewhere"))]
    ),
    "without a type": lambda root: dict(data_root=str(root)),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_test_set_that_is_not_there_counts_as_different(tmp_path: Path, kind: str) -> None:
    (tmp_path / "there").mkdir()
    dataset = MISSING[kind](tmp_path)
    warnings: list[str] = []
    with DefaultScope.overwrite_default_scope("mmseg"):
        val = DATASETS.build(tiny_config(tmp_path).val_dataloader.dataset.to_dict())
        runner = SimpleNamespace(
            val_loop=SimpleNamespace(dataloader=DataLoader(val)),
            _test_dataloader=dict(dataset=dataset),
            logger=SimpleNamespace(warning=warnings.append),
        )
        MMLogger.get_instance("splits")
        assert shared_files(runner) == 0  # type: ignore[arg-type]
    assert all("\n" not in text for text in warnings)


@DATASETS.register_module()
class Files(BaseDataset):
    def load_data_list(self) -> list:
        return [{"img_path": f"{k}.png"} for k in range(10)]


DIVIDED = {
    "apart": (range(5), range(5, 10), 0),
    "overlapping": (range(6), range(4, 10), 2),
    "the same": (range(3), range(3), 3),
    "a part of all": ([7], range(10), 1),
}


@pytest.mark.parametrize("kind", DIVIDED)
@pytest.mark.parametrize("lazy", [True, False])
def test_a_data_set_that_torch_divides(kind: str, lazy: bool) -> None:
    val, test, expected = DIVIDED[kind]
    files = Files(lazy_init=lazy)
    runner = SimpleNamespace(
        val_loop=SimpleNamespace(dataloader=DataLoader(Subset(files, val))),
        _test_dataloader=DataLoader(Subset(files, test)),
    )
    assert shared_files(runner) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["no list of names", "empty folder"])
def test_training_goes_on_without_its_test_set(tmp_path: Path, kind: str) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    if kind == "empty folder":
        cfg = tiny_classifier(tmp_path, steps=1)
        (tmp_path / "there").mkdir()
    cfg.test_dataloader.dataset = MISSING[kind](tmp_path)
    assert int(next(b for n, b in train(cfg).model.named_buffers() if "num_updates" in n)) == 1
