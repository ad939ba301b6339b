"""The table of the values agrees with the functions."""

import pytest
import torch

from cals_mm.functional import (
    CALIBRATION_VALUES,
    CalibrationStatistics,
    brier_score,
    calibration_statistics,
    calibration_values,
    expected_calibration_error,
    negative_log_likelihood,
)


@pytest.fixture
def statistics():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(4, (200,), generator=generator)
    return calibration_statistics(2 * torch.randn(200, 4, generator=generator), target)


def test_names_and_order_stay():
    assert list(CALIBRATION_VALUES) == [
        *("ECE", "ECE_noise", "aECE", "cwECE", "MCE", "gap", "accuracy", "confidence"),
        *("NLL", "Brier", "AURC", "accuracy_80", "accuracy_90", "accuracy_95"),
    ]
    assert all(value.name == name for name, value in CALIBRATION_VALUES.items())


def test_each_value_is_its_function_in_its_unit(statistics):
    found = dict(zip(CALIBRATION_VALUES, calibration_values(statistics)))
    assert found["ECE"] == 100 * expected_calibration_error(statistics)
    assert found["NLL"] == negative_log_likelihood(statistics)
    assert found["Brier"] == brier_score(statistics)
    for name, value in CALIBRATION_VALUES.items():
        scale = 100 if value.unit == "percent" else 1
        assert found[name] == value(statistics) == scale * value.function(statistics), name
        assert found[name].dtype == torch.float64, name


def test_no_sample_no_value():
    assert calibration_values(CalibrationStatistics.zeros(3)).isnan().all()


def test_headings_say_the_unit_and_are_told_apart():
    values = CALIBRATION_VALUES.values()
    assert len({value.heading for value in values}) == len(values)
    for value in values:
        assert value.heading.endswith("%") == (value.unit == "percent"), value.name


def test_mmengine_reads_the_direction_off_the_name_alike():
    hooks = pytest.importorskip("mmengine.hooks", reason="MMEngine is not installed")
    words = [word.lower() for word in hooks.CheckpointHook._default_greater_keys]
    for name, value in CALIBRATION_VALUES.items():
        taken = any(word in f"calibration/{name}".lower() for word in words)
        assert taken == (value.better == "higher"), name


def test_compared_values_have_a_direction_but_the_one_that_others_are_held_against():
    without = [v.name for v in CALIBRATION_VALUES.values() if v.compared and not v.better]
    assert without == ["ECE_noise"]


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        CALIBRATION_VALUES["ECE"] = None
