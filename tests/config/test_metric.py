"""Metrics join an evaluator in every form that MMEngine takes."""

import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import EVALUATOR, DefaultScope

from cals_mm.config import append_metric, with_metric

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
