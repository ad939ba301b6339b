"""Single predictions in a file."""

import pytest
import torch

from cals_mm.metrics import PredictionFile


def test_logits_and_labels_in_order(tmp_path):
    metric = PredictionFile(str(tmp_path / "predictions.pt"))
    logits = torch.randn(5, 3)
    target = torch.tensor([2, 0, 1, 1, 0])
    samples = [{"logits": row, "gt_label": label[None]} for row, label in zip(logits, target)]
    metric.process(None, samples[:3])
    metric.process(None, samples[3:])
    assert metric.evaluate(5) == {}
    kept = torch.load(tmp_path / "predictions.pt")
    assert torch.equal(kept["logits"], logits)
    assert torch.equal(kept["target"], target)
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.pt"]


def test_label_maps_are_refused(tmp_path):
    metric = PredictionFile(str(tmp_path / "predictions.pt"))
    maps = {
        "seg_logits": {"data": torch.zeros(3, 4, 4)},
        "gt_sem_seg": {"data": torch.zeros(1, 4, 4, dtype=torch.int64)},
    }
    with pytest.raises(ValueError, match=r"shape \(3, 4, 4\)"):
        metric.process(None, [maps])
