import numpy as np
import pytest
import torch

from cals_mm import CalibrationMetric, LongTailMetric

COUNTS = [500, 101, 100, 20, 19, 1]
GROUP = {"many": [0, 1], "medium": [2, 3], "few": [4, 5]}


def samples(count: int = 200) -> tuple[torch.Tensor, torch.Tensor, list[dict]]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, 6, generator=generator)
    target = torch.randint(0, 6, (count,), generator=generator)
    rows = [{"logits": row, "gt_label": label[None]} for row, label in zip(logits, target)]
    return logits, target, rows


def feed(metric, rows: list[dict], batch: int = 32) -> dict:
    for start in range(0, len(rows), batch):
        metric.process(None, rows[start : start + batch])
    return metric.evaluate(len(rows))


def test_groups_are_calibration_metrics_of_their_samples():
    logits, target, rows = samples()
    found = feed(LongTailMetric(class_counts=COUNTS), rows)
    for name, classes in GROUP.items():
        chosen = [row for row in rows if int(row["gt_label"]) in classes]
        expected = feed(CalibrationMetric(draw=False, class_table=False), chosen)
        for key in ("accuracy", "ECE", "gap", "NLL"):
            value = found[f"long_tail/{name}_{key}"]
            assert value == pytest.approx(expected[f"calibration/{key}"])
    correct = (logits.argmax(1) == target).numpy()
    per_class = [correct[target == k].mean() for k in range(6)]
    assert found["long_tail/class_mean_accuracy"] == pytest.approx(100 * np.mean(per_class))


def test_starts_afresh():
    _, _, rows = samples()
    metric = LongTailMetric(class_counts=COUNTS)
    first = feed(metric, rows)
    assert feed(metric, rows, batch=7) == pytest.approx(first)


def test_groups_without_classes_have_no_values():
    _, _, rows = samples()
    found = feed(LongTailMetric(class_counts=[50] * 6), rows)
    assert {key.split("/")[1].split("_")[0] for key in found} == {"medium", "class"}


def test_wrong_counts_get_one_line():
    _, _, rows = samples(4)
    with pytest.raises(ValueError, match=r"class_counts=\[...\], or add .*ClassCountsHook"):
        LongTailMetric().process(None, rows)
    with pytest.raises(ValueError, match="class_counts has 2 numbers, but the logits 6"):
        LongTailMetric(class_counts=[1, 2]).process(None, rows)
    with pytest.raises(ValueError, match="few_below=200 and many_above=100 overlap"):
        LongTailMetric(few_below=200)


def test_an_ignored_label_counts_for_nothing():
    _, _, rows = samples(40)
    expected = feed(LongTailMetric(class_counts=COUNTS), rows[:30])
    for row in rows[30:]:
        row["gt_label"] = torch.tensor([-100])
    assert feed(LongTailMetric(class_counts=COUNTS), rows) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("label", [6, -1, 255])
def test_a_label_that_is_no_class_is_named(label):
    _, _, rows = samples(4)
    rows[2]["gt_label"] = torch.tensor([label])
    for metric in (CalibrationMetric(draw=False), LongTailMetric(class_counts=COUNTS)):
        with pytest.raises(ValueError, match=f"label {label} is outside of"):
            metric.process(None, rows)


@pytest.mark.parametrize("void", [False, True])
def test_pixels_of_frequent_and_rare_classes(void):
    logits, target, rows = samples(60)
    maps, labels = logits.T.reshape(1, 6, 6, 10), target.reshape(1, 6, 10).clone()
    if void:
        labels[0, :2] = 255
        rows = rows[20:]
    expected = feed(LongTailMetric(class_counts=COUNTS), rows)
    metric = LongTailMetric(class_counts=COUNTS)
    metric.process(None, [{"seg_logits": {"data": maps[0]}, "gt_sem_seg": {"data": labels}}])
    assert metric.evaluate(1) == pytest.approx(expected, nan_ok=True)
