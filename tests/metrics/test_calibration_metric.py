"""CalibrationMetric: data samples of both frameworks, pooling, errors, pictures."""

import logging

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement, PixelData
from mmengine.visualization import Visualizer

from cals_mm.functional import (
    CALIBRATION_VALUES,
    CalibrationStatistics,
    adaptive_calibration_error,
    calibration_gap,
    calibration_statistics,
    expected_calibration_error,
    negative_log_likelihood,
)
from cals_mm.metrics import CalibrationMetric


def image(seed, num_classes=5, height=14, width=17):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(num_classes, height, width, generator=generator)
    labels = torch.randint(num_classes, (1, height, width), generator=generator)
    labels[:, : seed % 4] = 255
    return BaseDataElement(
        metainfo={"img_path": f"{seed}.png"},
        seg_logits=PixelData(data=logits),
        gt_sem_seg=PixelData(data=labels),
    )


def scores(seed, num_classes=5):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(num_classes, generator=generator)
    return BaseDataElement(logits=logits, gt_label=torch.tensor([seed % num_classes]))


def evaluate(metric, samples, batch_size=2):
    evaluator = Evaluator(metric)
    for start in range(0, len(samples), batch_size):
        evaluator.process(samples[start : start + batch_size])
    return evaluator.evaluate(len(samples))


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.mark.parametrize("scope", [None, "mmseg", "mmpretrain"])
def test_is_found_from_every_scope(scope):
    if scope is not None:
        pytest.importorskip(scope)
    metric = METRICS.build({"type": "CalibrationMetric", "_scope_": scope or "mmengine"})
    assert type(metric) is CalibrationMetric


def test_images_are_pooled_over_valid_pixels():
    samples = [image(seed, height=9 + seed) for seed in range(5)]
    result = evaluate(CalibrationMetric(draw=False), samples)
    logits = torch.cat([s.seg_logits.data.flatten(1) for s in samples], 1).T
    labels = torch.cat([s.gt_sem_seg.data.flatten() for s in samples])
    expected = calibration_statistics(logits, labels, ignore_index=255)
    error = 100 * float(expected_calibration_error(expected))
    assert result["calibration/ECE"] == pytest.approx(error, abs=1e-5)
    assert result["calibration/gap"] == pytest.approx(
        100 * float(calibration_gap(expected)), abs=1e-5
    )
    assert result["calibration/NLL"] == pytest.approx(float(negative_log_likelihood(expected)))
    adaptive = 100 * float(adaptive_calibration_error(expected))
    assert result["calibration/aECE"] == pytest.approx(adaptive, abs=1e-3)
    assert list(result) == [f"calibration/{name}" for name in CALIBRATION_VALUES]
    assert all(type(value) is float for value in result.values())


def test_mean_over_images():
    samples = [image(seed) for seed in range(4)]
    result = evaluate(CalibrationMetric(draw=False, aggregate="image"), samples)
    single = [evaluate(CalibrationMetric(draw=False), [sample]) for sample in samples]
    for name, value in result.items():
        assert value == pytest.approx(np.mean([one[name] for one in single])), name


def test_an_image_without_valid_pixels_has_no_part_in_the_mean():
    empty = image(0)
    empty.gt_sem_seg.data.fill_(255)
    for aggregate in ("dataset", "image"):
        alone = evaluate(CalibrationMetric(draw=False, aggregate=aggregate), [image(1)])
        assert (
            evaluate(CalibrationMetric(draw=False, aggregate=aggregate), [empty, image(1)]) == alone
        )


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_classification(batch_size):
    samples = [scores(seed) for seed in range(50)]
    result = evaluate(CalibrationMetric(draw=False), samples, batch_size)
    logits = torch.stack([s.logits for s in samples])
    expected = calibration_statistics(logits, torch.arange(50) % 5)
    assert result["calibration/ECE"] == pytest.approx(
        100 * float(expected_calibration_error(expected)), abs=1e-9
    )


def test_label_255_of_a_thousand_classes_counts():
    sample = BaseDataElement(logits=torch.zeros(1000), gt_label=torch.tensor([255]))
    metric = CalibrationMetric(draw=False)
    evaluate(metric, [sample])
    assert metric.statistics.count == 1


def test_each_evaluation_starts_afresh_and_keeps_its_sums():
    metric = CalibrationMetric(draw=False)
    first = evaluate(metric, [image(1)])
    assert metric.statistics.count == 14 * 17 - 17
    evaluate(metric, [image(2)])
    assert evaluate(metric, [image(1)]) == first


def test_no_valid_sample_warns(log):
    empty = image(0)
    empty.gt_sem_seg.data.fill_(255)
    for samples in ([], [empty]):
        result = evaluate(CalibrationMetric(draw=False), samples)
        assert all(np.isnan(value) for value in result.values())
    assert "no valid sample" in log.text


def test_nonfinite_logits_are_named_and_left_out(log):
    bad = image(3)
    bad.seg_logits.data[2, 10, :4] = float("nan")
    result = evaluate(CalibrationMetric(draw=False), [image(0), bad])
    assert result["calibration/nonfinite"] == 4
    assert all(np.isfinite(value) for value in result.values())
    assert "4 labels of 3.png" in log.text


def test_table_of_the_classes(log):
    log.set_level(logging.INFO)
    metric = CalibrationMetric(draw=False)
    metric.dataset_meta = {"classes": ("road", "sky", "car", "traffic light", "void?")}
    evaluate(metric, [image(1)])
    table = log.text[log.text.index("calibration per class") :]
    assert "traffic light" in table and "cwECE" in table
    many = CalibrationMetric(draw=False)
    log.clear()
    evaluate(many, [scores(seed, num_classes=100) for seed in range(9)])
    assert "40 of 100 classes" in log.text and log.text.count("\n") < 60


def test_sums_are_written_for_later(tmp_path):
    path = tmp_path / "sums.pth"
    metric = CalibrationMetric(draw=False, out_file=str(path))
    evaluate(metric, [image(1)])
    statistics = CalibrationStatistics.from_dict(torch.load(path))
    assert statistics.count == metric.statistics.count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_bins": 0}, "num_bins must be at least 1"),
        ({"aggregate": "pixel"}, "aggregate must be"),
        ({"ignore_index": "void"}, "ignore_index must be"),
        ({"temperature": 0.0}, "temperature must be a positive number"),
        ({"temperature": 2.0, "probabilities": True}, "1 for probabilities"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CalibrationMetric(**arguments)
    with pytest.raises(TypeError):
        CalibrationMetric(bins=3)


def test_bad_data_is_named_in_one_line():
    def message(samples, classes=None, **arguments):
        metric = CalibrationMetric(draw=False, **arguments)
        metric.dataset_meta = None if classes is None else {"classes": classes}
        with pytest.raises(ValueError) as error:
            for sample in samples:
                metric.process(None, [sample.to_dict()])
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "3 classes but the logits 5 channels" in message([image(0)], "abc")
    assert "1 channel" in message([image(0, num_classes=1)])
    assert "5 channels, those before 4" in message([image(0, 4), image(0, 5)])
    assert "label 255" in message([image(1)], ignore_index=None)
    assert "aggregate='dataset'" in message([scores(0)], aggregate="image")


def test_no_error_is_taken_for_a_score_where_more_is_better():
    names = evaluate(CalibrationMetric(draw=False), [image(0)])
    words = [word.lower() for word in CheckpointHook._default_greater_keys]
    for name in names:
        better = any(word in name.lower() for word in words)
        assert better == name.startswith("calibration/accuracy"), name


def test_pictures_reach_the_visualizer(tmp_path):
    visualizer = Visualizer.get_instance(
        f"calibration-{tmp_path.name}",
        vis_backends=[{"type": "LocalVisBackend"}],
        save_dir=tmp_path,
    )
    evaluate(CalibrationMetric(prefix="a/b"), [image(0)])
    Visualizer._instance_dict.pop(visualizer.instance_name)
    (picture,) = tmp_path.rglob("*.png")
    assert picture.name.startswith("a_b_val_")
    assert cv2.imread(str(picture)).std() > 10


@pytest.mark.parametrize(
    "part, what",
    [
        ("mmengine.visualization.Visualizer.add_image", "drawing the reliability diagram"),
        ("cals_mm.visualization.reliability_diagram", "drawing the reliability diagram"),
        ("cals_mm.visualization.reliability.render", "drawing the reliability diagram"),
        ("mmengine.visualization.LocalVisBackend.add_image", "drawing the reliability diagram"),
        ("cals_mm.metrics._report.class_table", "the table of the classes"),
        ("cals_mm.metrics._report.print_log", "the table of the classes"),
    ],
)
@pytest.mark.parametrize("error", [RuntimeError, OSError, IndexError])
def test_a_report_that_fails_costs_no_value(tmp_path, monkeypatch, log, part, what, error):
    def fail(*args, **kwargs):
        raise error("cannot\ndraw")

    expected = evaluate(CalibrationMetric(draw=False, class_table=False), [image(0)])
    visualizer = Visualizer.get_instance(
        f"failing-{tmp_path.name}", vis_backends=[{"type": "LocalVisBackend"}], save_dir=tmp_path
    )
    monkeypatch.setattr(part, fail)
    found = evaluate(CalibrationMetric(), [image(0)])
    Visualizer._instance_dict.pop(visualizer.instance_name)
    assert found == expected
    assert f"{what} failed, and the run goes on without: {error.__name__}: cannot draw" in log.text
