"""The pass over the logits: partition, ignored samples, layouts, extremes, bad input."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cals_mm.functional import (
    CalibrationStatistics,
    adaptive_calibration_error,
    calibration_gap,
    calibration_statistics,
    expected_calibration_error,
    negative_log_likelihood,
)
from cals_mm.functional._calibration_bins import (
    NUM_CELLS,
    bin_index,
    cell_edges,
    cell_index,
    first_bin_end,
)

from .brute_force import adaptive_error
from .loss_cases import needs_native
from .test_calibration import batch


def assert_same(ours, theirs, rtol=1e-12, atol=1e-9):
    for field in fields(CalibrationStatistics):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        torch.testing.assert_close(a, b, rtol=rtol if a.is_floating_point() else 0, atol=atol)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 60), st.integers(2, 30), st.floats(0.01, 40), st.data(), st.integers(0, 10**6)
)
def test_parts_add_up_to_the_whole_in_any_order(samples, num_classes, scale, data, seed):
    logits, target = batch(samples, num_classes, seed=seed, scale=scale)
    whole = calibration_statistics(logits, target)
    order = torch.tensor(data.draw(st.permutations(range(samples))))
    cut = data.draw(st.integers(1, samples - 1))
    first, second = (
        calibration_statistics(logits[part], target[part]) for part in (order[:cut], order[cut:])
    )
    # Float32 arithmetic is per sample, so that not even the place in the batch matters.
    assert_same(first + second, whole)


@pytest.mark.parametrize("shape", [(64, 10), (33, 1000), (6, 19, 37, 41), (4, 5, 128, 128)])
def test_single_samples_add_up_to_the_batch(shape):
    logits, target = batch(*shape)
    total = CalibrationStatistics.zeros(shape[1])
    for one, label in zip(logits.split(1), target.split(1), strict=True):
        total.merge_(calibration_statistics(one, label))
    whole = calibration_statistics(logits, target)
    assert_same(total, whole, rtol=1e-9)
    assert expected_calibration_error(total).item() == pytest.approx(
        expected_calibration_error(whole).item(), abs=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1), st.sampled_from([float("nan"), float("inf"), 1e30]))
def test_ignored_pixels_change_nothing_whatever_they_hold(seed, share, content):
    logits, target = batch(2, 5, 9, 13, seed=seed)
    ignored = torch.rand(target.shape, generator=torch.Generator().manual_seed(seed)) < share
    keep = ~ignored
    expected = CalibrationStatistics.zeros(5)
    if keep.any():
        expected = calibration_statistics(logits.movedim(1, -1)[keep], target[keep])
    logits = torch.where(ignored.unsqueeze(1), content, logits)
    target = torch.where(ignored, 255, target)
    # Rows and images take different vector code: the last bit of float32 differs.
    statistics = calibration_statistics(logits, target, ignore_index=255)
    assert_same(statistics, expected, atol=1e-5)


def test_padding_changes_nothing():
    logits, target = batch(1, 7, 50, 60)
    padded = torch.nn.functional.pad(logits, (0, 11, 0, 9), value=float("nan"))
    labels = torch.nn.functional.pad(target, (0, 11, 0, 9), value=255)
    expected = calibration_statistics(logits, target)
    assert_same(calibration_statistics(padded, labels, ignore_index=255), expected, rtol=1e-9)


@pytest.mark.parametrize("layout", ["channels_last", "transposed", "sliced"])
def test_layouts(layout):
    logits, target = batch(2, 6, 24, 32)
    expected = calibration_statistics(logits, target)
    if layout == "channels_last":
        other = logits.to(memory_format=torch.channels_last)
    elif layout == "transposed":
        other = logits.transpose(2, 3).contiguous().transpose(2, 3)
    else:
        other = torch.stack([logits, logits], -1)[..., 0]
    assert_same(calibration_statistics(other, target), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_inputs_are_computed_in_float32(dtype):
    logits, target = batch(400, 9)
    logits = logits.to(dtype)
    expected = calibration_statistics(logits.float(), target)
    assert_same(calibration_statistics(logits, target), expected)


def test_probabilities_and_logits_agree():
    logits, target = batch(3, 8, 20, 20, dtype=torch.float64)
    statistics = calibration_statistics(logits.softmax(1), target, probabilities=True)
    assert_same(statistics, calibration_statistics(logits, target), rtol=1e-9)


def test_logits_are_not_taken_for_probabilities():
    with pytest.raises(ValueError, match="probabilities=True, but the largest value is"):
        calibration_statistics(*batch(10, 3), probabilities=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_likelihood_where_the_softmax_underflows(dtype, shape):
    logits = torch.tensor([0.0, -10_240.0, -5.0], dtype=dtype).reshape(shape)
    target = torch.ones(shape[0], *shape[2:], dtype=torch.long)
    value = negative_log_likelihood(calibration_statistics(logits, target))
    assert float(value) == pytest.approx(10_240 + np.log1p(np.exp(-5)), rel=1e-6)


def test_of_equal_logits_the_first_is_predicted():
    logits = torch.zeros(4, 4).index_fill_(1, torch.tensor([3]), -1.0)
    statistics = calibration_statistics(logits, torch.tensor([0, 1, 2, 3]))
    assert statistics.class_correct.tolist() == [1, 0, 0, 0]
    image = logits.T.reshape(1, 4, 2, 2)
    target = torch.tensor([[[0, 1], [2, 3]]])
    assert calibration_statistics(image, target).class_correct.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("shape", [(50, 4), (2, 4, 5, 5)])
def test_nonfinite_samples_are_counted_and_left_out(value, shape):
    logits, target = batch(*shape)
    rows, labels = logits.movedim(1, -1).reshape(-1, 4).clone(), target.reshape(-1)
    expected = calibration_statistics(rows[3:], labels[3:])
    if logits.ndim == 2:
        logits[:3, 2] = value
    else:
        logits[0, 2, 0, :3] = value
    statistics = calibration_statistics(logits, target)
    assert int(statistics.nonfinite) == 3
    statistics.nonfinite.zero_()
    assert_same(statistics, expected, atol=1e-5)


def test_minus_infinity_is_a_probability_of_zero_but_not_for_the_label():
    logits = torch.tensor([[0.0, float("-inf"), 1.0]]).expand(2, 3)
    statistics = calibration_statistics(logits, torch.tensor([0, 1]))
    assert (statistics.count, int(statistics.nonfinite)) == (1, 1)


def test_all_ignored_or_all_nonfinite():
    logits, target = batch(5, 3)
    assert calibration_statistics(logits, torch.full((5,), -100)).count == 0
    statistics = calibration_statistics(logits * float("nan"), target)
    assert (statistics.count, int(statistics.nonfinite)) == (0, 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_bins", [1, 3, 5, 10, 15, 20])
def test_bins_include_their_upper_edge(dtype, num_bins):
    edges = torch.arange(num_bins + 1, dtype=dtype) / num_bins
    assert bin_index(edges[1:], num_bins).tolist() == list(range(num_bins))
    assert bin_index(edges[:1], num_bins).tolist() == [0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_bins", [2, 15, 49, 1000, 12345])
def test_the_end_of_the_first_bin(dtype, num_bins):
    end = torch.tensor(first_bin_end(num_bins, dtype), dtype=dtype)
    assert bin_index(end, num_bins) == 0
    assert bin_index(torch.nextafter(end, end + 1), num_bins) == 1


def test_fine_cells_lie_where_their_edges_say():
    edges = cell_edges()
    assert len(edges) == NUM_CELLS + 1
    complement = torch.cat([torch.rand(5000), torch.rand(5000) * 1e-4, torch.rand(99) * 1e-7])
    confidence = (1 - complement.double()).clamp(0, 1)
    index = cell_index(confidence)
    exact = (1 - confidence).float().double()
    assert (edges[index] <= exact).all() and (exact < edges[index + 1]).all()
    extremes = cell_index(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert extremes.tolist() == [NUM_CELLS - 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(2, 20), st.floats(0.1, 30), st.integers(0, 10**6))
def test_adaptive_error_keeps_its_bound(samples, num_bins, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(samples, 3, generator=generator, dtype=torch.float64)
    # Coarse logits, so that confidences tie.
    logits = logits.mul(2).round().div(2) if seed % 2 else logits
    target = torch.randint(3, (samples,), generator=generator)
    statistics = calibration_statistics(logits, target, num_bins=num_bins)
    value, bound = adaptive_calibration_error(statistics, return_bound=True)
    confidence, prediction = logits.softmax(1).max(1)
    expected = adaptive_error(confidence.numpy(), (prediction == target).numpy(), num_bins)
    assert abs(float(value) - expected) <= float(bound) + 1e-12


def test_adaptive_error_of_many_samples_is_close():
    logits, target = batch(200_000, 10, dtype=torch.float64)
    value, bound = adaptive_calibration_error(
        calibration_statistics(logits, target), return_bound=True
    )
    correct = (logits.argmax(1) == target).numpy()
    expected = adaptive_error(logits.softmax(1).amax(1).numpy(), correct, 15)
    assert abs(float(value) - expected) < 1e-4
    assert float(bound) < 5e-3


def test_counts_beyond_two_to_the_24():
    one = calibration_statistics(torch.tensor([[9.0, 0.0]]), torch.tensor([0]))
    total = one
    for _ in range(27):
        total = total + total
    total = total + calibration_statistics(torch.tensor([[9.0, 0.0]]), torch.tensor([1]))
    assert total.count == 2**27 + 1
    assert int(total.bin_correct.sum()) == 2**27
    confidence = 1 / (1 + np.exp(-9))
    expected = confidence - 2**27 / (2**27 + 1)
    assert float(calibration_gap(total)) == pytest.approx(expected, abs=1e-7)
    assert abs(float(calibration_gap(total) - calibration_gap(one))) == pytest.approx(
        1 / (2**27 + 1), abs=1e-12
    )


def test_pack_and_unpack():
    statistics = calibration_statistics(*batch(40, 6))
    other = CalibrationStatistics.zeros(6).unpack_(*statistics.pack())
    assert_same(other, statistics, rtol=0)
    assert_same(CalibrationStatistics.from_dict(statistics.to_dict()), statistics, rtol=0)


def test_the_size_does_not_depend_on_the_samples():
    few, many = (calibration_statistics(*batch(n, 6)).pack() for n in (1, 5000))
    assert [len(part) for part in few] == [len(part) for part in many]


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (torch.zeros(3, 1), torch.zeros(3, dtype=torch.long), "1 channel"),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long), "must be floating"),
        (torch.zeros(3, 2, dtype=torch.long), torch.zeros(3, dtype=torch.long), "must be floating"),
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.long), r"integer labels of shape \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(3), "integer labels"),
        (torch.zeros(2, 2), torch.tensor([0, 255]), "label 255 .* set ignore_index=255"),
        (torch.zeros(2, 2), torch.tensor([0, -1]), "label -1 is outside"),
    ],
)
def test_bad_input_is_named_in_one_line(logits, target, message):
    with pytest.raises(ValueError, match=message) as error:
        calibration_statistics(logits, target)
    assert "\n" not in str(error.value)


def test_statistics_of_different_models_do_not_merge():
    with pytest.raises(ValueError, match="cannot merge"):
        CalibrationStatistics.zeros(3).merge_(CalibrationStatistics.zeros(4))
    with pytest.raises(ValueError, match="num_bins"):
        calibration_statistics(*batch(4, 3), num_bins=0)


@needs_native
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape", [(1, 2), (301, 7), (200, 1000), (3, 5000), (2, 19, 37, 41), (3, 150, 20, 31)]
)
def test_the_compiled_pass_equals_plain_torch(shape, dtype, monkeypatch):
    logits, target = batch(*shape, scale=3.0)
    logits = logits.to(dtype)
    target[..., ::5] = 255
    if target.eq(255).all():
        target.zero_()
    logits.movedim(1, -1)[target == 255] = float("nan")
    compiled = calibration_statistics(logits, target, ignore_index=255)
    monkeypatch.setenv("CALS_MM_BACKEND", "eager")
    plain = calibration_statistics(logits, target, ignore_index=255)
    rounding = 1e-6 if dtype == torch.float32 else 1e-12
    for field in fields(CalibrationStatistics):
        a, b = getattr(compiled, field.name), getattr(plain, field.name)
        if field.name.startswith("cell"):  # finer than float32's rounding
            a, b = a.sum(), b.sum()
        torch.testing.assert_close(
            a.double(), b.double(), rtol=rounding, atol=rounding * target.numel()
        )


@needs_native
@pytest.mark.parametrize("shape", [(700, 1000), (2, 19, 160, 200)])
def test_threads_do_not_change_a_bit_of_the_compiled_pass(shape):
    logits, target = batch(*shape)
    threads = torch.get_num_threads()
    try:
        results = []
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(calibration_statistics(logits, target).pack())
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
