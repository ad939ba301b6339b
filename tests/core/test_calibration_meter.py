"""CalibrationMeter: batches, parts and processes give what one pass over everything gives."""

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from cals_mm.core import CalibrationMeter
from cals_mm.core._reduce import leave_process_group
from cals_mm.functional import CALIBRATION_VALUES, calibration_statistics, calibration_values


def batch(seed, count=40, num_classes=5, size=()):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, num_classes, *size, generator=generator)
    target = torch.randint(num_classes, (count, *size), generator=generator)
    return logits, target


def at_once(batches, **options):
    logits, target = (torch.cat(part) for part in zip(*batches))
    values = calibration_values(calibration_statistics(logits, target, **options)).tolist()
    return dict(zip(CALIBRATION_VALUES, values))


def fed(batches, **options):
    meter = CalibrationMeter(**options)
    for logits, target in batches:
        meter.update(logits, target)
    return meter


def test_batches_give_what_all_samples_give():
    batches = [batch(seed, count=10 + seed) for seed in range(5)]
    found = fed(batches, num_bins=10)
    assert found.count == sum(len(target) for _, target in batches)
    assert found.compute() == pytest.approx(at_once(batches, num_bins=10), abs=1e-9)
    assert all(type(value) is float for value in found.compute().values())


def test_ignored_labels_and_probabilities():
    logits, target = batch(0, size=(4, 3))
    target[:, :2] = 255
    meter = fed([(logits.softmax(1), target)], ignore_index=255, probabilities=True)
    expected = fed([(logits, target)], ignore_index=255)
    assert meter.count == 40 * 6
    assert meter.compute() == pytest.approx(expected.compute(), abs=1e-4)


@pytest.mark.parametrize("aggregate", ["dataset", "image"])
def test_merged_parts_give_the_whole(aggregate):
    batches = [batch(seed, count=3, size=(6, 7)) for seed in range(4)]
    parts = CalibrationMeter(aggregate=aggregate)
    for one in batches:
        assert parts.merge_(fed([one], aggregate=aggregate)) is parts
    parts.merge_(CalibrationMeter(aggregate=aggregate))
    whole = fed(batches, aggregate=aggregate)
    assert parts.compute() == pytest.approx(whole.compute(), abs=1e-12)


def test_merging_leaves_the_other_alone():
    ours, theirs = fed([batch(0)]), fed([batch(1)])
    before = theirs.compute()
    CalibrationMeter().merge_(theirs).merge_(ours)
    assert theirs.compute() == before


def test_mean_over_images():
    images = [batch(seed, count=1, size=(5, 4)) for seed in range(3)]
    images[0][1][:] = -100
    together = fed([tuple(torch.cat(part) for part in zip(*images))], aggregate="image")
    single = [at_once([image]) for image in images[1:]]
    for name, value in together.compute().items():
        assert value == pytest.approx(sum(one[name] for one in single) / 2), name


def test_reset_forgets_everything():
    meter = fed([batch(0, num_classes=3, count=2, size=(2, 2))], aggregate="image")
    meter.reset()
    assert meter.count == 0
    assert all(value != value for value in meter.compute().values())
    one = batch(1, count=2, size=(3, 3))
    meter.update(*one)
    assert meter.compute() == fed([one], aggregate="image").compute()


def test_nonfinite_samples_are_left_out_and_told():
    logits, target = batch(0)
    logits[3, 1] = float("nan")
    meter = fed([(logits, target)])
    assert meter.nonfinite == 1
    values = meter.compute()
    assert values.pop("nonfinite") == 1.0
    rest = torch.arange(40) != 3
    assert values == pytest.approx(at_once([(logits[rest], target[rest])]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_bins": 0}, "num_bins must be at least 1, got 0"),
        ({"aggregate": "class"}, "aggregate must be 'dataset' or 'image', got 'class'"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CalibrationMeter(**options)


def test_what_does_not_fit_is_refused():
    meter = fed([batch(0, num_classes=4)])
    with pytest.raises(ValueError, match="5 channels, those before 4"):
        meter.update(*batch(0))
    with pytest.raises(ValueError, match="cannot merge"):
        meter.merge_(fed([batch(0)]))
    with pytest.raises(ValueError, match=r"cannot merge .*\(4, 10\)"):
        meter.merge_(fed([batch(0, num_classes=4)], num_bins=10))
    with pytest.raises(ValueError, match="aggregate='image' into one with 'dataset'"):
        meter.merge_(CalibrationMeter(aggregate="image"))
    with pytest.raises(ValueError, match="use aggregate='dataset'"):
        CalibrationMeter(aggregate="image").update(*batch(0))


# The last process sees nothing, so it does not know the number of classes.
SEEN = [
    [batch(0, count=3, size=(4, 5)), batch(1, count=2, size=(6, 5))],
    [batch(2, size=(3, 3))],
    [],
]


def run(rank, port, path):
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=len(SEEN))
    meters = [fed(SEEN[rank], aggregate=aggregate) for aggregate in ("dataset", "image")]
    torch.save([meter.all_reduce_().compute() for meter in meters], f"{path}/{rank}.pth")
    leave_process_group()


def test_three_processes_give_what_one_gives(tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    mp.spawn(run, (port, str(tmp_path)), nprocs=3)
    everything = [one for batches in SEEN for one in batches]
    for rank in range(3):
        for aggregate, found in zip(("dataset", "image"), torch.load(tmp_path / f"{rank}.pth")):
            expected = fed(everything, aggregate=aggregate).compute()
            assert found == pytest.approx(expected, abs=1e-12)


def test_one_process_needs_no_group():
    meter = fed([batch(0)])
    before = meter.compute()
    assert meter.all_reduce_().compute() == before
