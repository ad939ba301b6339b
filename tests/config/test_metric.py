"""Metrics join an evaluator in every form that MMEngine takes."""

import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import EVALUATOR, DefaultScope

from cals_mm.config import (
    append_metric,
    measure_calibration,
    metrics_of,
    with_metric,
    with_output_names,
    with_scaled_metrics,
)

ACCURACY = dict(type="Accuracy")
FORMS = {
    "one": ACCURACY,
    "list": [ACCURACY],
    "tuple": (ACCURACY,),
    "evaluator": dict(type="Evaluator", metrics=[ACCURACY]),
    "evaluator of one": dict(type="Evaluator", metrics=ACCURACY),
    "without a type": dict(metrics=[ACCURACY]),
}


def build(evaluator) -> Evaluator:
    """As a runner builds it."""
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        if isinstance(evaluator, dict) and "metrics" in evaluator:
            return EVALUATOR.build(dict(evaluator), default_args=dict(type="Evaluator"))
        return Evaluator(evaluator)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gains_the_metric(form, tmp_path):
    cfg = Config(dict(evaluator=FORMS[form]))
    predictions = dict(type="PredictionFile", out_file=str(tmp_path / "p.pt"))
    for evaluator, name in (
        (append_metric(cfg.evaluator, predictions), "PredictionFile"),
        (with_metric(cfg.evaluator, {}), "CalibrationMetric"),
    ):
        names = [type(metric).__name__ for metric in build(evaluator).metrics]
        assert names == ["Accuracy", name]
        assert with_metric(with_metric(evaluator, {}), {}) == with_metric(evaluator, {})
    assert cfg.evaluator == Config(dict(evaluator=FORMS[form])).evaluator


@pytest.mark.parametrize("form", FORMS)
def test_scaled_metrics_and_names_of_files_in_every_form(form, tmp_path):
    sums = str(tmp_path / "sums.pt")
    evaluator = with_metric(Config(dict(evaluator=FORMS[form])).evaluator, {"out_file": sums})
    scaled = with_scaled_metrics(evaluator, 2.5)
    renamed = with_output_names(scaled, "blur-3")
    own, other = build(renamed).metrics[1:]
    assert (own.temperature, own.prefix) == (1.0, "calibration")
    assert (other.temperature, other.prefix, other.draw) == (2.5, "scaled", False)
    assert own.out_file == str(tmp_path / "sums-blur-3.pt")
    assert other.out_file == str(tmp_path / "sums-scaled-blur-3.pt")
    assert metrics_of(evaluator)[1]["out_file"] == sums, "unchanged"


def test_a_test_split_without_labels_has_no_calibration():
    cfg = Config(dict(test_evaluator=dict(type="IoUMetric", format_only=True)))
    with pytest.raises(ValueError, match="test on data with labels"):
        measure_calibration(cfg, {})
