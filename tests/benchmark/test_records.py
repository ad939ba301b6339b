"""What is read from the folder of a run, and from where a stopped run goes on."""

import json

import pytest
import torch
from mmengine.config import Config

from cals_mm.benchmark.execution.records import (
    best_epoch,
    checkpoint_file,
    held_out_records,
    late_gap,
    resume_from,
)

MAIN = "mIoU"


def config(interval=1):
    saving = {"save_best": MAIN, "rule": "greater"}
    return Config(
        {"default_hooks": {"checkpoint": saving}, "train_cfg": {"val_interval": interval}}
    )


def write(folder, validated, start="20260101_000000"):
    """A log with validations, mIoU by epoch, among training records."""
    log = folder / start / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    records = [{"loss": 1.0, "step": 400}]
    records += [{MAIN: value, "step": epoch} for epoch, value in validated.items()]
    log.write_text("\n".join(map(json.dumps, records)) + "\n")
    return log


def save(folder, *names):
    for name in names:
        torch.save({"state_dict": {}}, folder / name)


def test_later_starts_replace_records_and_half_lines_are_left_out(tmp_path):
    log = write(tmp_path, {1: 10.0, 2: 20.0})
    log.write_text(log.read_text() + '{"mIoU": 99.0, "st')
    write(tmp_path, {2: 21.0, 3: 30.0}, start="20260102_000000")
    records = held_out_records(tmp_path, MAIN)
    assert {epoch: record[MAIN] for epoch, record in records.items()} == {1: 10, 2: 21, 3: 30}


def test_of_equal_epochs_the_first_is_the_best():
    records = {4: {MAIN: 3.0}, 2: {MAIN: 3.0}, 1: {MAIN: 1.0}}
    assert best_epoch(records, MAIN, "greater") == 2
    assert best_epoch(records, MAIN, "less") == 1
    with pytest.raises(ValueError, match="no validation"):
        best_epoch({}, MAIN, "greater")


def test_the_late_gap_is_the_mean_size_over_the_last_third():
    gaps = {2: 9.0, 4: -8.0, 6: 7.0, 8: -1.0, 10: 2.0, 12: 3.0, 14: -4.0}
    records = {epoch: {"calibration/gap": gaps[epoch]} for epoch in reversed(gaps)}
    assert late_gap(records) == 3
    assert late_gap({1: {"calibration/gap": -5.0}}) == 5
    with pytest.raises(ValueError, match="no validation"):
        late_gap({})


def test_checkpoint_to_test(tmp_path):
    write(tmp_path, {8: 5.0, 9: 7.0, 10: 6.0})
    save(tmp_path, "epoch_9.pth", "epoch_10.pth", "best_mIoU_epoch_9.pth")
    assert checkpoint_file(tmp_path, MAIN, "greater", "best") == (
        9,
        tmp_path / "best_mIoU_epoch_9.pth",
    )
    assert checkpoint_file(tmp_path, MAIN, "greater", "last") == (10, tmp_path / "epoch_10.pth")


def test_the_checkpoint_to_test_may_have_been_deleted(tmp_path):
    with pytest.raises(ValueError, match="neither a checkpoint nor a validation"):
        checkpoint_file(tmp_path, MAIN, "greater", "last")
    write(tmp_path, {8: 5.0, 9: 7.0, 10: 6.0})
    best, last = (checkpoint_file(tmp_path, MAIN, "greater", which) for which in ("best", "last"))
    assert best == (9, tmp_path / "best_mIoU_epoch_9.pth")
    assert last == (10, tmp_path / "epoch_10.pth")
    save(tmp_path, "epoch_9.pth")
    assert checkpoint_file(tmp_path, MAIN, "greater", "last") == last, "only an earlier one is left"


def test_a_run_goes_on_after_its_last_validation(tmp_path):
    assert resume_from(tmp_path, config()) is None
    write(tmp_path, {1: 5.0, 2: 4.0})
    save(tmp_path, "epoch_1.pth", "epoch_2.pth", "best_mIoU_epoch_1.pth")
    assert resume_from(tmp_path, config()).name == "epoch_2.pth"


def test_a_run_that_was_stopped_while_validating_repeats_that_epoch(tmp_path):
    write(tmp_path, {1: 5.0})
    save(tmp_path, "epoch_1.pth", "epoch_2.pth", "best_mIoU_epoch_1.pth")
    assert resume_from(tmp_path, config()).name == "epoch_1.pth"
    assert resume_from(tmp_path, config(interval=3)).name == "epoch_2.pth", "none was due"


def test_a_run_that_was_stopped_while_saving_repeats_that_epoch(tmp_path):
    write(tmp_path, {1: 5.0, 2: 6.0})
    save(tmp_path, "epoch_1.pth", "epoch_2.pth", "best_mIoU_epoch_1.pth")
    assert resume_from(tmp_path, config()).name == "epoch_1.pth", "the new best is missing"
    (tmp_path / "best_mIoU_epoch_2.pth").write_bytes(b"PK\x03\x04half")
    assert resume_from(tmp_path, config()).name == "epoch_1.pth", "... or truncated"
    save(tmp_path, "best_mIoU_epoch_2.pth")
    assert resume_from(tmp_path, config()).name == "epoch_2.pth"
    (tmp_path / "epoch_2.pth").write_bytes(b"PK\x03\x04half")
    assert resume_from(tmp_path, config()).name == "epoch_1.pth", "truncated"


def test_the_validation_after_the_last_epoch_is_not_left_out(tmp_path):
    """MMEngine validates after it, whatever the interval."""
    cfg = config(interval=3)
    cfg.train_cfg.max_epochs = 4
    write(tmp_path, {3: 5.0})
    save(tmp_path, "epoch_3.pth", "epoch_4.pth", "best_mIoU_epoch_3.pth")
    assert resume_from(tmp_path, cfg).name == "epoch_3.pth"
    write(tmp_path, {4: 4.0}, start="20260102_000000")
    assert resume_from(tmp_path, cfg).name == "epoch_4.pth"


def test_no_validation_is_due_before_the_first(tmp_path):
    cfg = config()
    cfg.train_cfg.val_begin = 3
    save(tmp_path, "epoch_2.pth")
    assert resume_from(tmp_path, cfg).name == "epoch_2.pth"
    save(tmp_path, "epoch_3.pth")
    assert resume_from(tmp_path, cfg).name == "epoch_2.pth", "the first is not in the log"


def test_nothing_to_go_on_from(tmp_path):
    save(tmp_path, "epoch_1.pth")
    assert resume_from(tmp_path, config()) is None


def test_iterations_are_counted_as_the_validations_in_the_log_say(tmp_path):
    cfg = config(interval=100)
    cfg.train_cfg.update(type="IterBasedTrainLoop", max_iters=20)
    save(tmp_path, "iter_4.pth", "iter_6.pth")
    assert resume_from(tmp_path, cfg) is None, "how often is validated is not known yet"
    write(tmp_path, {6: 10.0})  # a hook validates more often than the config says
    assert resume_from(tmp_path, cfg).name == "iter_4.pth", "the best of step 6 is missing"
    save(tmp_path, "best_mIoU_iter_6.pth", "iter_16.pth", "iter_18.pth")
    assert resume_from(tmp_path, cfg).name == "iter_16.pth", "18 was due"
    write(tmp_path, {12: 12.0, 18: 11.0}, start="20260102_000000")
    save(tmp_path, "best_mIoU_iter_12.pth", "iter_20.pth")
    assert resume_from(tmp_path, cfg).name == "iter_18.pth", "the end is always validated"
    assert checkpoint_file(tmp_path, MAIN, "greater", "best", "iter")[0] == 12
    assert checkpoint_file(tmp_path, MAIN, "greater", "last", "iter")[0] == 20
