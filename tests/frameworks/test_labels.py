"""Labels are read through every wrapper that MMEngine and torch have."""

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import DATASETS
from torch.utils.data import ConcatDataset as Joined
from torch.utils.data import Subset

from cals_mm.datasets.long_tail import LongTailDataset
from cals_mm.frameworks.labels import labels_of
from cals_mm.hooks.class_counts_hook import count_classes

LABELS = [0] * 9 + [1] * 9 + [2] * 9
EVERY_THIRD = range(0, 27, 3)


@DATASETS.register_module()
class Labelled(BaseDataset):
    METAINFO = {"classes": ("a", "b", "c")}

    def load_data_list(self) -> list[dict]:
        return [{"img_path": str(k), "gt_label": label} for k, label in enumerate(LABELS)]

    def get_cat_ids(self, idx: int) -> list[int]:
        return [self.get_data_info(idx)["gt_label"]]


class Wrapped:
    """A wrapper of the user's."""

    metainfo = Labelled.METAINFO

    def __init__(self) -> None:
        self.inner = Labelled()

    def full_init(self) -> None: ...

    def get_data_info(self, index: int) -> dict:
        return {"gt_label": np.array([LABELS[index]])}

    def __getitem__(self, index: int) -> dict:
        return self.inner[index]

    def __len__(self) -> int:
        return len(LABELS)


class NoLabels(Wrapped):
    def get_data_info(self, index: int) -> dict:
        return {}


class Categories(NoLabels):
    """Gives labels in one way only, and each in a container of this type."""

    def __init__(self, container: Any) -> None:
        self.inner = Labelled()
        self.container = container

    def get_cat_ids(self, index: int) -> Any:
        return self.container([LABELS[index]])


WRAPPERS = {
    "data set": (Labelled, LABELS),
    "joined": (lambda: ConcatDataset([Labelled(), Labelled()]), 2 * LABELS),
    "repeated": (lambda: RepeatDataset(Labelled(), times=2), 2 * LABELS),
    "balanced": (lambda: ClassBalancedDataset(Labelled(), oversample_thr=1e-3), LABELS),
    "joined repeated": (
        lambda: DATASETS.build(
            dict(
                type="ConcatDataset",
                datasets=[dict(type="RepeatDataset", times=2, dataset=dict(type="Labelled"))],
            )
        ),
        2 * LABELS,
    ),
    "the user's": (Wrapped, LABELS),
    "categories in lists": (lambda: Categories(list), LABELS),
    "in tuples": (lambda: Categories(tuple), LABELS),
    "in arrays": (lambda: Categories(np.array), LABELS),
    "chosen": (lambda: Subset(Labelled(), EVERY_THIRD), LABELS[::3]),
    "chosen and read late": (lambda: Subset(Labelled(lazy_init=True), range(27)), LABELS),
    "chosen twice": (lambda: Subset(Subset(Labelled(), EVERY_THIRD), range(9)), LABELS[::3]),
    "chosen of repeated": (lambda: Subset(RepeatDataset(Labelled(), 2), range(54)), 2 * LABELS),
    "chosen of the user's": (lambda: Subset(Wrapped(), EVERY_THIRD), LABELS[::3]),
    "joined by torch": (lambda: Joined([Labelled(), Labelled(lazy_init=True)]), 2 * LABELS),
    "chosen and joined": (
        lambda: Joined([Subset(Labelled(), EVERY_THIRD), Labelled()]),
        LABELS[::3] + LABELS,
    ),
}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_labels_through_a_wrapper(kind):
    make, expected = WRAPPERS[kind]
    assert labels_of(make()).tolist() == expected
    assert count_classes(make()).tolist() == np.bincount(expected).tolist()


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_long_tail_of_a_wrapper(kind):
    make, expected = WRAPPERS[kind]
    dataset = LongTailDataset(make(), ratio=9)
    largest = expected.count(0)
    assert count_classes(dataset).tolist() == [largest, largest // 3, max(1, largest // 9)]
    shown = [dataset[index]["gt_label"] for index in range(len(dataset))]
    assert shown == dataset.get_gt_labels().tolist()
    assert dataset.metainfo == Labelled.METAINFO


@pytest.mark.parametrize(
    "kind", ["data set", "joined", "repeated", "the user's", *[k for k in WRAPPERS if "chos" in k]]
)
def test_annotations_of_a_long_tail(kind):
    dataset = LongTailDataset(WRAPPERS[kind][0](), ratio=9)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [int(np.ravel(info["gt_label"])[0]) for info in infos] == [
        dataset.get_cat_ids(index)[0] for index in range(len(dataset))
    ]


@pytest.mark.parametrize(
    "make, indices, expected",
    [
        (Labelled, [26, 0, 9], [2, 0, 1]),
        (lambda: LongTailDataset(Labelled(), ratio=9), [0, 12], [0, 2]),
        (lambda: Subset(Labelled(), [26, 9]), np.array([1]), [1]),
        (lambda: Categories(list), torch.tensor([9, 26]), [1, 2]),
        (lambda: Joined([Labelled(), Labelled()]), [27, 53], [0, 2]),
    ],
)
def test_a_subset_of_torch(make, indices, expected):
    assert labels_of(Subset(make(), indices)).tolist() == expected


def test_without_labels_one_line():
    with pytest.raises(ValueError, match="NoLabels gives 0 labels for its sample 0"):
        labels_of(NoLabels())
    with pytest.raises(ValueError, match=r"NoLabels does not say its classes.*class_counts"):
        count_classes(NoLabels())


@pytest.mark.parametrize("times", [1, 2])
def test_a_wrapped_test_split_keeps_its_balance(times):
    inside = dict(type="Labelled", test_mode=True)
    with pytest.raises(ValueError, match="test mode"):
        LongTailDataset(dict(type="ConcatDataset", datasets=[inside] * times), ratio=9)
