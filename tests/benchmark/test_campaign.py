"""Which runs are started, skipped and resumed, and what decides between settings."""

import fcntl
import json
import re
import threading
import time

import pytest
import torch

from cals_mm.benchmark import Processes, Setting, collect

from .workshop import a_campaign, calls, make_project, set_figures, write_config


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


def kinds(lines):
    return sorted(line.split()[0] for line in lines)


def test_everything_is_trained_and_tested_once(project):
    campaign = a_campaign(project)
    campaign.run()
    assert kinds(calls(project)) == ["test"] * 4 + ["train"] * 4
    assert campaign.failures == {}
    row = collect(campaign).rows[1]
    assert (row.method, row.setting, row.seeds) == ("cals", "default", [0, 1])
    assert row.mean["accuracy/top1"] == 80.5
    assert row.std["accuracy/top1"] == pytest.approx(0.5**0.5)

    again = a_campaign(project)
    again.run()
    assert len(calls(project)) == 8, "nothing is done twice"
    assert again.tested == campaign.tested


def test_more_seeds_start_only_what_is_missing(project):
    a_campaign(project, seeds=[0]).run()
    before = len(calls(project))
    a_campaign(project, seeds=[0, 5]).run()
    new = calls(project)[before:]
    assert kinds(new) == ["test"] * 2 + ["train"] * 2
    assert all("--seed 5" in line or "seed5/" in line for line in new)


def test_held_out_figures_decide_and_test_figures_do_not(project):
    same = {"ce": {"default": 1.0}}
    for best in ("default", "6.0", "12.0"):
        held_out = {margin: 0.5 if margin == best else 0.9 for margin in ("default", "6.0", "12.0")}
        opposite = {margin: 1.4 - value for margin, value in held_out.items()}
        root = make_project(project / best)
        set_figures(root, val={**same, "cals": held_out}, test={**same, "cals": opposite})
        campaign = a_campaign(root, tries=3)
        campaign.run()
        assert campaign.failures == {}
        name = best if best == "default" else f"margin={float(best):g}"
        assert campaign.choices["cals"].setting.name == name
        row = collect(campaign).rows[1]
        assert row.setting == name
        assert row.mean["calibration/NLL"] == pytest.approx(0.9), "the worst on the test split"
        # Settings are tried with one seed, and tested is the chosen one alone.
        assert kinds(calls(root)) == ["test"] * 4 + ["train"] * (2 + 3 + 1)
        order = [line.split()[0] for line in calls(root)]
        assert order.index("test") == len(order) - 4, "no test before the choice"


def test_best_and_last_checkpoint_are_kept_apart(project):
    best, last = a_campaign(project), a_campaign(project, checkpoint="last")
    best.run()
    last.run()
    assert kinds(calls(project)) == ["test"] * 8 + ["train"] * 4
    tested = [line for line in calls(project) if line.startswith("test")]
    assert sum("best_accuracy_top1_epoch_1.pth" in line for line in tested) == 4
    assert sum("/epoch_2.pth" in line for line in tested) == 4
    assert sum("/test-last" in line for line in tested) == 4
    default = Setting("default")
    nll = [c.choices["ce"].held_out[default]["calibration/NLL"] for c in (best, last)]
    assert nll == [0.99, 0.98]


def test_shift_is_a_test_of_its_own(project):
    a_campaign(project).run()
    shift = ["blur:2", "noise:5"]
    campaign = a_campaign(project, shift=shift)
    campaign.run()
    new = calls(project)[8:]
    assert kinds(new) == ["test"] * 4, "neither training nor the clean test again"
    assert all("--corrupt blur:2 noise:5 --temperature 2.0" in line for line in new)
    results = collect(campaign)
    clean, shifted = (results.rows[1].mean[f"{part}calibration/NLL"] for part in ("", "shift/"))
    assert shifted == pytest.approx(clean + 3.5)
    assert results.rows[1].mean["shift/scaled/NLL"] == pytest.approx(clean / 2 + 3.5)
    assert results.rows[1].mean["blur:2/accuracy/top1"] == 82.5
    differences = results.rows[1].comparisons["ce + temperature"]
    assert differences["shift/calibration/NLL"].difference == pytest.approx(clean / 2)
    assert results.shifted[0].key == "shift/accuracy/top1"

    a_campaign(project, shift=shift).run()
    assert len(calls(project)) == 12
    a_campaign(project, shift=["blur:2"]).run()
    assert kinds(calls(project)[12:]) == ["test"] * 4
    missing = a_campaign(project, shift=["jpeg:1"], processes=None)
    missing.run()
    assert set(missing.failures.values()) == {"not tested under shift yet"}


@pytest.mark.parametrize("which", ["best", "last"])
def test_tested_runs_need_their_checkpoints_no_more(project, which):
    first = a_campaign(project, checkpoint=which, shift=["blur:2"])
    first.run()
    done = calls(project)
    for file in project.glob("out/**/*.pth"):
        file.unlink()
    again = a_campaign(project, checkpoint=which, shift=["blur:2"])
    again.run()
    assert (again.failures, again.tested) == ({}, first.tested)
    assert collect(again) == collect(first)
    assert calls(project) == done


def test_a_test_needs_a_whole_checkpoint(project):
    a_campaign(project).run()
    changed = a_campaign(project, shift=["blur:2"])
    for run in ("cals/default/seed0", "cals/default/seed1"):
        (project / "out/digits-lt" / run / "test-best/tested.json").unlink()
    folder = project / "out/digits-lt/cals/default"
    (folder / "seed0/best_accuracy_top1_epoch_1.pth").unlink()
    (folder / "seed1/best_accuracy_top1_epoch_1.pth").write_bytes(b"PK\x03\x04half")
    before = len(calls(project))
    changed.run()
    assert "does not exist" in changed.failures["cals, default, seed 0"]
    assert "truncated" in changed.failures["cals, default, seed 1"]
    assert len(calls(project)) == before + 2, "only ce is tested under shift"


def test_a_failed_run_does_not_stop_the_others(project):
    campaign = a_campaign(project, seeds=[0, 13])
    campaign.run()
    assert set(campaign.failures) == {"ce, default, seed 13", "cals, default, seed 13"}
    for reason in campaign.failures.values():
        assert reason.startswith("error: unlucky (log: ")
        assert reason.endswith("train.log)")
    results = collect(campaign)
    assert [row.seeds for row in results.rows] == [[0], [0]]
    assert results.rows[0].std["calibration/NLL"] is None


def test_a_method_whose_tries_failed_is_not_chosen_for(project):
    campaign = a_campaign(project, seeds=[13, 0], tries=2)
    campaign.run()
    assert campaign.choices == {}
    assert "2 of 2 tries failed" in campaign.failures["cals"]
    assert collect(campaign).rows == []


def test_a_method_that_diverged_does_not_stop_the_others(project):
    set_figures(
        project,
        val={"ce": {"default": 1.0}, "cals": {"default": float("nan")}},
        test={"ce": {"default": 1.0}, "cals": {"default": 1.0}},
    )
    campaign = a_campaign(project)
    campaign.run()
    assert list(campaign.tested) == ["ce"]
    assert "no setting has a finite held-out" in campaign.failures["cals"]
    assert [row.method for row in collect(campaign).rows] == ["ce"]


def test_figures_that_are_no_numbers_are_left_out(project):
    campaign = a_campaign(project)
    campaign.run()
    for figures in campaign.tested["ce"].values():
        figures.update({"precision_classwise": [1.0, 2.0], "worst": "cat"})
    (row, _) = collect(campaign).rows
    assert (row.mean["precision_classwise"], row.std["worst"]) == (None, None)
    assert row.mean["accuracy/top1"] == 80.5


def test_what_a_method_alone_kept_is_resampled_for_a_later_table(project):
    campaign = a_campaign(project, methods=["cals"], seeds=[0], shift=["blur:2"])
    campaign.run()
    run = campaign.a_run("cals", Setting("default"), 0)
    tests = campaign.test_of(run), campaign.shift_test(run)
    content = {"logits": torch.randn(30, 10), "target": torch.randint(10, (30,))}
    for file in (tests[0].kept()[0], tests[1].kept()[0][0]):
        torch.save(content, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cals_mm.benchmark.reporting.resampled.DRAWS", 10)
        collect(campaign)
    assert all((test.folder / "resampled.pt").is_file() for test in tests)


def test_an_interrupted_run_is_known_by_its_record(project):
    """The config that a training dumps may say the same in other words."""
    run = a_campaign(project).a_run("cals", Setting("default"), 0)
    run.start_command()
    run.dumped_config.write_text("model = dict(type='in other words')")
    assert not run.trained()
    write_config(project, margin=9.0)
    with pytest.raises(ValueError, match="another config"):
        run.trained()


def test_a_changed_config_is_not_skipped_silently(project):
    a_campaign(project).run()
    write_config(project, margin=9.0)
    campaign = a_campaign(project)
    campaign.run()
    assert len(calls(project)) == 8
    reason = campaign.failures["cals, default, seed 0"]
    assert "holds a run of another config" in reason
    assert [row.method for row in collect(campaign).rows] == ["ce"]


def test_logging_and_data_folder_are_no_change(project):
    a_campaign(project).run()
    write_config(project, lambda text: text.replace("=50", "=7").replace("data/x", "data/y"))
    campaign = a_campaign(project)
    campaign.run()
    assert (len(calls(project)), campaign.failures) == (8, {})


def test_a_changed_test_is_done_again(project):
    a_campaign(project).run()
    write_config(project, lambda text: text + "test_cfg = dict(fp16=True)\n")
    a_campaign(project).run()
    assert kinds(calls(project)[8:]) == ["test"] * 4


def test_an_interrupted_run_of_another_config_is_refused(project):
    run = a_campaign(project).a_run("cals", Setting("default"), 0)
    run.folder.mkdir(parents=True)
    dumped = run.dumped_config
    run.config().dump(dumped)
    assert not run.trained()
    dumped.write_text(dumped.read_text().replace("margin=8.0", "margin=7.0"))
    with pytest.raises(ValueError, match="another config"):
        run.trained()


def test_a_folder_that_is_worked_in_is_left_alone(project):
    run = a_campaign(project).a_run("cals", Setting("default"), 0)
    run.folder.mkdir(parents=True)
    with (run.folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        campaign = a_campaign(project)
        campaign.run()
    assert "another process works in" in campaign.failures[str(run)]
    assert sorted(campaign.tested) == ["ce"], "cals has no first seed to choose by"


def test_table_of_what_is_done(project):
    campaign = a_campaign(project, processes=None)
    campaign.run()
    assert calls(project) == []
    assert collect(campaign).rows == []
    a_campaign(project, seeds=[0]).run()
    campaign = a_campaign(project, processes=None)
    campaign.run()
    assert [row.seeds for row in collect(campaign).rows] == [[0], [0]]
    assert len(calls(project)) == 4


def test_progress_counts_and_estimates(project):
    lines = []
    a_campaign(project, seeds=[0, 1, 2], tries=2, say=lines.append, processes=Processes(1)).run()
    assert sum(line.endswith("training") for line in lines) == 7
    assert lines[0] == "[1/7] ce, default, seed 0: training"
    assert re.fullmatch(
        r"\[1/7\] ce, default, seed 0: trained in \d+ s; 6 left, about .*", lines[1]
    )
    assert any("that was the last" in line for line in lines)


def test_an_interrupt_ends_what_runs(project):
    (project / "tools" / "train.py").write_text("import time; time.sleep(60)")

    processes = Processes(1)
    began = time.monotonic()
    threading.Timer(0.5, processes.stop).start()
    campaign = a_campaign(project, processes=processes)
    campaign.run()
    assert time.monotonic() - began < 20
    assert all("interrupted" in reason for name, reason in campaign.failures.items() if "," in name)
    assert list((project / "out").rglob("trained.json")) == []


def test_marks_are_json(project):
    a_campaign(project, methods=["ce"], seeds=[0]).run()
    folder = a_campaign(project).a_run("ce", Setting("default"), 0).folder
    marker = json.loads((folder / "trained.json").read_text())
    assert set(marker) == {"config", "seconds"}
    assert json.loads((folder / "test-best" / "tested.json").read_text())["metrics"]
