"""ImageSumsFile: one row an image, in the order of the data set."""

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement, PixelData

from cals_mm.functional import image_sums
from cals_mm.metrics import ImageSumsFile


def sample(seed):
    generator = torch.Generator().manual_seed(seed)
    return BaseDataElement(
        seg_logits=PixelData(data=torch.randn(3, 6 + seed, 8, generator=generator)),
        gt_sem_seg=PixelData(data=torch.randint(3, (1, 6 + seed, 8), generator=generator)),
    )


def test_rows_are_the_sums_of_the_images(tmp_path):
    samples = [sample(seed) for seed in range(3)]
    evaluator = Evaluator(ImageSumsFile(str(tmp_path / "sums.pt"), temperature=2.0))
    for one in samples:
        evaluator.process([one])
    assert evaluator.evaluate(3) == {}
    found = torch.load(tmp_path / "sums.pt")
    for row, one in enumerate(samples):
        sums = image_sums(one.seg_logits.data / 2, one.gt_sem_seg.data[0])
        assert set(found) == set(sums)
        assert all(torch.equal(found[name][row], sums[name]) for name in sums)


def test_single_labels_are_refused(tmp_path):
    single = BaseDataElement(logits=torch.zeros(3), gt_label=torch.tensor([1]))
    with pytest.raises(ValueError, match="use PredictionFile"):
        ImageSumsFile(str(tmp_path / "sums.pt")).process(None, [single.to_dict()])
