"""Text runs: the scripts, resuming, seeds, several processes, GloVe, predictions."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.runner import Runner

from cals_mm import runs
from cals_mm.core import AugmentedLagrangian
from cals_mm.runs.devices import prepare_devices
from cals_mm.text.glove import read_glove
from cals_mm.text.predict import TextPredictor
from cals_mm.text.vocabulary import Vocabulary
from tests.tiny import free_port, train
from tests.tiny_text import MARGIN, ROOT, make_newsgroups, tiny_text

MULTIPLIERS = "head.loss_module.lagrangian.multipliers"


def call(*command, **options) -> subprocess.CompletedProcess:
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    command = [sys.executable, *map(str, command)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd="/", timeout=300, **options
    )


def states_differ(left: dict, right: dict) -> list[str]:
    assert left.keys() == right.keys()
    return [key for key in left if not torch.equal(left[key], right[key])]


# --- scripts --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """Config file and work dir of a run of the training script."""
    root = tmp_path_factory.mktemp("text")
    cfg = tiny_text(root, steps=3)
    cfg.dump(root / "tiny.py")
    process = call(ROOT / "tools/train.py", root / "tiny.py", "--data-root", root / "posts")
    assert process.returncode == 0, process.stderr
    return root / "tiny.py", root / "work"


@pytest.mark.slow
def test_best_checkpoint_is_tested_by_the_script(trained):
    config, work_dir = trained
    (best,) = work_dir.glob("best_calibration_accuracy_epoch_*.pth")
    out = work_dir / "metrics.json"
    process = call(ROOT / "tools/test.py", config, best, "--out", out)
    assert process.returncode == 0, process.stderr
    assert re.search(r'"calibration/ECE": \d+\.\d+', out.read_text())


@pytest.mark.slow
def test_predict_prints_classes_with_probabilities(trained):
    _, work_dir = trained
    checkpoint = work_dir / "epoch_3.pth"
    command = ("-m", "cals_mm.text", "predict", "--checkpoint", checkpoint, "--top", 20)
    process = call(*command, "topic3w1 topic3w2 common4")
    assert process.returncode == 0, process.stderr
    rows = [re.fullmatch(r"(\S+) +(\d+\.\d) %", line) for line in process.stdout.splitlines()]
    assert len(rows) == 20 and all(rows)
    percent = [float(row[2]) for row in rows]
    assert percent == sorted(percent, reverse=True)
    assert sum(percent) == pytest.approx(100, abs=1.5)


@pytest.mark.slow
def test_predictions_are_those_of_the_test(trained):
    config, work_dir = trained
    predictor = TextPredictor.from_checkpoint(str(work_dir / "epoch_3.pth"))
    cfg = Config.fromfile(config)
    cfg.load_from, cfg.work_dir = str(work_dir / "epoch_3.pth"), str(work_dir / "again")
    cfg.experiment_name = "predictions"
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    runner.model.eval()
    batch = next(iter(runner.test_dataloader))
    expected = runner.model(batch["inputs"], mode="tensor").softmax(1)
    texts = [
        " ".join(predictor.vocabulary.words[i - 2] if i > 1 else "neverseen" for i in row if i)
        for row in batch["inputs"].tolist()
    ]
    torch.testing.assert_close(predictor(texts), expected, rtol=1e-5, atol=1e-6)
    assert predictor([""]).isfinite().all()


def test_predict_refuses_other_checkpoints(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        TextPredictor.from_checkpoint(str(tmp_path / "none.pth"))
    torch.save({"meta": {"cfg": "x = 1"}, "state_dict": {}}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="no checkpoint of a text classifier"):
        TextPredictor.from_checkpoint(str(tmp_path / "other.pth"))


@pytest.mark.slow
def test_missing_posts_end_in_one_line(tmp_path):
    # Unreachable whatever network there is.
    code = (
        "import runpy, sys, urllib.error, sklearn.datasets._twenty_newsgroups as source\n"
        "def offline(*a, **k): raise urllib.error.URLError('no network')\n"
        "source._fetch_remote = offline\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    config = ROOT / "configs/cals/gpcnn_20newsgroups.py"
    arguments = ("--data-root", tmp_path, "--work-dir", tmp_path / "work")
    process = call("-c", code, ROOT / "tools/train.py", config, *arguments)
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    assert process.stderr.strip().splitlines()[-1].startswith("error: no 20 Newsgroups data at")


@pytest.mark.slow
def test_neither_mmseg_nor_mmpretrain_is_needed(tmp_path):
    tiny_text(tmp_path, steps=1).dump(tmp_path / "tiny.py")
    code = """
import sys
for name in ('mmseg', 'mmpretrain', 'mmcv', 'keras', 'tensorflow'):
    sys.modules[name] = None  # to import it is an error now
from mmengine.config import Config
from mmengine.runner import Runner
runner = Runner.from_cfg(Config.fromfile(sys.argv[1]))
runner.train()
runner.test()
print(int(runner.model.head.loss_module.lagrangian.num_updates), "update")
"""
    process = call("-c", code, tmp_path / "tiny.py")
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "1 update"


# --- exactness ------------------------------------------------------------------------------


def test_update_equals_the_one_by_hand(tmp_path):
    runner = train(tiny_text(tmp_path, steps=1))
    runner.model.eval()
    lagrangian = AugmentedLagrangian(20, margin=MARGIN, rho_interval=2)
    statistics = lagrangian.start_dual_epoch()
    with torch.no_grad():
        for batch in runner.val_dataloader:
            statistics.update(runner.model(batch["inputs"]))
    lagrangian.step_(statistics)
    assert int(statistics.count) == len(runner.val_dataloader.dataset)
    assert (lagrangian.multipliers > 1e-3).any()
    actual = runner.model.head.loss_module.lagrangian.multipliers
    torch.testing.assert_close(actual, lagrangian.multipliers, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["cals/gpcnn_20newsgroups", "cals/meanmlp_20newsgroups"])
def test_resumed_equals_uninterrupted(tmp_path, name):
    whole = train(tiny_text(tmp_path, name, steps=3)).model.state_dict()
    assert (whole[MULTIPLIERS] > 1e-3).any()
    for epoch in (1, 2):
        cfg = tiny_text(tmp_path, name, steps=3, work_dir=str(tmp_path / f"resumed_{epoch}"))
        cfg.resume, cfg.load_from = True, str(tmp_path / "work" / f"epoch_{epoch}.pth")
        assert not states_differ(train(cfg).model.state_dict(), whole)


def test_a_seed_gives_the_same_model_and_another_one_another(tmp_path):
    states = [
        train(
            tiny_text(tmp_path, steps=2, work_dir=str(tmp_path / name), randomness__seed=seed)
        ).model.state_dict()
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert not states_differ(states[0], states[1])
    assert "head.fc.weight" in states_differ(states[0], states[2])


def run(rank: int, world_size: int, root: str, port: int) -> None:
    """A run whose weights never move, so that only the validation depends on the processes."""
    torch.set_num_threads(1)
    cfg = tiny_text(Path(root), work_dir=f"{root}/work_{world_size}")
    cfg.optim_wrapper.optimizer.lr = 0.0
    cfg.val_dataloader.batch_size = 1  # larger ones differ in the last bits of the forward pass
    if world_size > 1:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in ranks.items()})
        os.environ["MASTER_ADDR"] = "127.0.0.1"
        prepare_devices(cfg, "pytorch")
    runner = train(cfg)
    metrics = runner.val_loop.run()
    model = runner.model.module if world_size > 1 else runner.model
    lagrangian = model.head.loss_module.lagrangian
    state = {key: value.double() for key, value in lagrangian.state_dict().items()}
    torch.save((state, metrics), f"{root}/result_{world_size}_{rank}.pt")


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    make_newsgroups(tmp_path / "posts")  # 33 val posts: one is repeated to fill up
    run(0, 1, str(tmp_path), 0)
    mp.spawn(run, (2, str(tmp_path), free_port()), nprocs=2, join=True)
    state, metrics = torch.load(tmp_path / "result_1_0.pt", weights_only=False)
    assert (state["multipliers"] > 1e-3).any()
    assert state["num_updates"] == 2
    for rank in range(2):
        other, values = torch.load(tmp_path / f"result_2_{rank}.pt", weights_only=False)
        for key, value in state.items():
            torch.testing.assert_close(other[key], value, rtol=1e-9, atol=1e-12)
        assert values == pytest.approx(metrics, rel=1e-9, nan_ok=True)


# --- GloVe ----------------------------------------------------------------------------------


def glove(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_glove_vectors_are_those_of_the_words(tmp_path):
    file = glove(tmp_path / "g.txt", "b 1 2 3", "other 4 5 6", "two words 7 8 9", "a -1 0.5 1e-3")
    vectors = read_glove(file, Vocabulary(["a", "b", "c"]), dim=3)
    assert {index: vector.tolist() for index, vector in vectors.items()} == {
        2: [-1, 0.5, np.float32(1e-3)],
        3: [1, 2, 3],
    }


@pytest.mark.parametrize("end", [" \n", "\t\r\n", "  "])
def test_space_at_the_end_of_a_line_is_no_number(tmp_path, end):
    file = tmp_path / "g.txt"
    file.write_bytes(f"other 4 5 6\nb 1 2 3{end}".encode())
    vectors = read_glove(file, Vocabulary(["b"]), dim=3)
    assert [vector.tolist() for vector in vectors.values()] == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("first", ["b 1 2 3", "other 4 5 6"])
def test_a_byte_order_mark_belongs_to_no_word(tmp_path, first):
    file = tmp_path / "g.txt"
    file.write_text(f"{first}\nb 1 2 3\r\n", encoding="utf-8-sig")
    vectors = read_glove(file, Vocabulary(["b"]), dim=3)
    assert [vector.tolist() for vector in vectors.values()] == [[1.0, 2.0, 3.0]]
    file.write_text("b 1 2 3\n", encoding="utf-8-sig")
    assert len(read_glove(file, Vocabulary(["b"]), dim=3)) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a 1 2 3", "b 1 2"], "line 2 has 2 numbers: expected a word and 3"),
        (["a 1 2 3 4"], "line 1 has 4 numbers: expected a word and 3, the embedding_dim"),
        (["b 1 2 3", "", "a 1 2 3"], "line 2 has 0 numbers"),
        (["b 1 2 3", "a 1 x 3"], "line 2 is malformed"),
        (["b 1 2 3", "a 1 nan 3"], "line 2 is malformed: expected a word and 3 finite"),
        (["b 1 -inf 3"], "line 1 is malformed"),
        (["b 1 2 1e39"], "line 1 is malformed"),  # not in float32
        (["z 1 2 3"], "has none of the 2 words"),
    ],
)
def test_malformed_glove_files(tmp_path, lines, message):
    file = glove(tmp_path / "g.txt", *lines)
    with pytest.raises(ValueError, match=message):
        read_glove(file, Vocabulary(["a", "b"]), dim=3)


def test_training_with_glove_keeps_its_vectors(tmp_path):
    file = glove(tmp_path / "g.txt", *(f"common{i} " + " ".join([str(i)] * 8) for i in range(9)))
    cfg = tiny_text(tmp_path, steps=2)
    runs.use_glove(cfg, str(file))
    runner = train(cfg)
    words = runner.train_dataloader.dataset.metainfo["vocabulary"].split("\n")
    weight = runner.model.backbone.embedding.weight
    assert torch.equal(weight[words.index("common7") + 2], torch.full((8,), 7.0))
    assert weight[words.index("common20") + 2].abs().sum() == 0
    # A resumed run takes them from its checkpoint, and equals the uninterrupted one.
    file.unlink()
    cfg = tiny_text(tmp_path, steps=2, work_dir=str(tmp_path / "resumed"))
    cfg.model.backbone.frozen_embeddings = True
    cfg.custom_hooks.append(dict(type="GloVeHook", file=str(file)))
    cfg.resume, cfg.load_from = True, str(tmp_path / "work" / "epoch_1.pth")
    assert not states_differ(train(cfg).model.state_dict(), runner.model.state_dict())


def test_glove_argument(tmp_path):
    with pytest.raises(FileNotFoundError, match="--glove .* does not exist"):
        runs.use_glove(tiny_text(tmp_path), str(tmp_path / "none.txt"))
    file = glove(tmp_path / "g.txt", "a 1")
    with pytest.raises(ValueError, match="--glove is for a TextClassifier, not for 'Other'"):
        runs.use_glove(Config(dict(model=dict(type="Other"))), str(file))
