"""The multipliers are learned from every sample of a validation, and from each once."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS, LOOPS
from mmengine.runner import Runner, ValLoop
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

from cals_mm.core import AugmentedLagrangian, dual_statistics
from cals_mm.frameworks import sampling
from cals_mm.frameworks.sampling import SampleCounter, loaders_of
from tests.functional.loss_cases import needs_native
from tests.tiny import CLASSES, MARGIN, make_images, tiny_config, train


@LOOPS.register_module()
class LoadersLoop(ValLoop):
    """One validation over several loaders; numbers batches anew in each, or through."""

    def __init__(self, runner, dataloader, evaluator, fp16=False, more=(), through=False) -> None:
        super().__init__(runner, dataloader, evaluator, fp16)
        self.loaders = [self.dataloader, *(runner.build_dataloader(one) for one in more)]
        self.through = through

    def run(self) -> dict:
        self.runner.call_hook("before_val")
        self.runner.call_hook("before_val_epoch")
        self.runner.model.eval()
        number = 0
        for loader in self.loaders:
            number = number if self.through else 0
            for batch in loader:
                self.run_iter(number, batch)
                number += 1
        metrics = self.evaluator.evaluate(sum(len(loader.dataset) for loader in self.loaders))
        self.runner.call_hook("after_val_epoch", metrics=metrics)
        self.runner.call_hook("after_val")
        return metrics


@LOOPS.register_module()
class EpochsLoop(LoadersLoop):
    """Ends an epoch of its own for each loader, but for those left out at the end."""

    def __init__(self, *args, left_out=0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.used = self.loaders[: len(self.loaders) - left_out]
        self.updates: list[int] = []

    def run(self) -> dict:
        self.runner.call_hook("before_val")
        self.runner.model.eval()
        for loader in self.used:
            self.runner.call_hook("before_val_epoch")
            for number, batch in enumerate(loader):
                self.run_iter(number, batch)
            metrics = self.evaluator.evaluate(len(loader.dataset))
            self.runner.call_hook("after_val_epoch", metrics=metrics)
            state = self.runner.model.decode_head.loss_decode.state
            self.updates.append(int(state.num_updates))
        self.runner.call_hook("after_val")
        return metrics


@DATA_SAMPLERS.register_module()
class TwiceSampler(Sampler):
    """Every sample twice, from the last to the first."""

    def __init__(self, dataset, seed: int | None = None) -> None:
        self.size = len(dataset)

    def __iter__(self):
        return iter([*reversed(range(self.size))] * 2)

    def __len__(self) -> int:
        return 2 * self.size


@DATA_SAMPLERS.register_module()
class EverySecondSampler(TwiceSampler):
    """Leaves out samples."""

    def __iter__(self):
        return iter(range(0, self.size, 2))

    def __len__(self) -> int:
        return -(-self.size // 2)


@torch.no_grad()
def assert_by_hand(runner: Runner, loaders: list) -> None:
    """The multipliers are those of one dual step from the samples of these loaders."""
    lagrangian = AugmentedLagrangian(len(CLASSES), margin=MARGIN, rho_interval=2)
    statistics = lagrangian.start_dual_epoch()
    runner.model.eval()
    for loader in loaders:
        for batch in loader:
            for sample in runner.model.val_step(batch):
                mask = sample.gt_sem_seg.data != 255
                statistics.update(sample.seg_logits.data[None], mask)
    lagrangian.step_(statistics)
    learned = runner.model.decode_head.loss_decode.state
    assert (lagrangian.multipliers > 1e-3).any() and int(learned.num_updates) == 1
    torch.testing.assert_close(learned.multipliers, lagrangian.multipliers, rtol=1e-6, atol=0)


def second_set(cfg: Config, root: Path) -> dict:
    make_images(root, "more", 7, seed=5)
    loader = cfg.val_dataloader.to_dict()
    loader["dataset"]["data_prefix"] = dict(img_path="images/more", seg_map_path="labels/more")
    return loader


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("sets", [1, 2])
def test_several_loaders_are_one_validation(tmp_path: Path, sets: int, through: bool) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    more = [second_set(cfg, tmp_path)] * sets
    cfg.val_cfg = dict(type="LoadersLoop", more=more, through=through)
    runner = train(cfg)
    assert len(runner.val_loop.loaders) == sets + 1
    assert_by_hand(runner, runner.val_loop.loaders)


@pytest.mark.parametrize("sets, left_out", [(1, 0), (2, 0), (2, 1)])
def test_an_epoch_for_each_loader_is_still_one_validation(
    tmp_path: Path, sets: int, left_out: int
) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    more = [second_set(cfg, tmp_path)] * sets
    cfg.val_cfg = dict(type="EpochsLoop", more=more, left_out=left_out)
    runner = train(cfg)
    loop = runner.val_loop
    assert loop.updates == [0] * sets + [1] * (not left_out)
    assert_by_hand(runner, loop.used)


@pytest.mark.parametrize(
    "sampler",
    [
        dict(type="TwiceSampler"),
        dict(type="EverySecondSampler"),
        dict(type="DefaultSampler", shuffle=True, round_up=False),
    ],
)
def test_another_sampler_loses_no_sample(tmp_path: Path, sampler: dict) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    cfg.val_dataloader.sampler = sampler
    runner = train(cfg)
    assert_by_hand(runner, [runner.val_dataloader])


# --- in several processes ---------------------------------------------------------------------


class Ten:
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        return index


def counted(monkeypatch, loaders: list[list[DataLoader]]) -> list[int]:
    """What three processes count, for each process a list of its loaders."""
    found = []
    for rank in range(3):
        monkeypatch.setattr(sampling, "get_dist_info", lambda rank=rank: (rank, 3))
        counter = SampleCounter(loaders[rank])
        for loader in loaders[rank]:
            for batch in loader:
                counts = counter.counts(len(batch))
                found += [int(x) for x, counts_ in zip(batch, counts) if counts_]
    return sorted(found)


def padded(rank: int, **options) -> DataLoader:
    sampler = DistributedSampler(Ten(), num_replicas=3, rank=rank, **options)
    return DataLoader(Ten(), batch_size=3, sampler=sampler)


def by_default(rank: int, **options) -> DataLoader:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmengine.dataset.sampler.get_dist_info", lambda: (rank, 3))
        sampler = DefaultSampler(Ten(), seed=0, **options)
    return DataLoader(Ten(), batch_size=2, sampler=sampler)


FILLING = {
    "torch": lambda rank: padded(rank, shuffle=False),
    "torch, shuffled": padded,
    "MMEngine": by_default,
    "MMEngine, in order": lambda rank: by_default(rank, shuffle=False),
}


@pytest.mark.parametrize("kind", FILLING)
def test_samplers_that_fill_up(monkeypatch, kind: str) -> None:
    once = list(range(10))
    make = FILLING[kind]
    assert counted(monkeypatch, [[make(rank)] for rank in range(3)]) == once
    twice = sorted(2 * once)
    assert counted(monkeypatch, [[make(rank), make(rank)] for rank in range(3)]) == twice


ON_EACH = {
    "in order": SequentialSampler(Ten()),
    "twice": TwiceSampler(Ten()),
    "with replacement": RandomSampler(Ten(), replacement=True, num_samples=12),
}


@pytest.mark.parametrize("kind", ON_EACH)
def test_samplers_that_nobody_knows(monkeypatch, kind: str) -> None:
    """Each process has samples of its own, or all of them: none is left out."""
    counts = []
    for rank in range(3):
        monkeypatch.setattr(sampling, "get_dist_info", lambda rank=rank: (rank, 3))
        loader = DataLoader(Ten(), batch_size=4, sampler=ON_EACH[kind])
        counter = SampleCounter([loader])
        counts += [sum(counter.counts(len(batch))) for batch in loader]
    assert sum(counts) == 3 * len(ON_EACH[kind])


def test_samplers_that_do_not_fill_up(monkeypatch) -> None:
    uneven = [[by_default(rank, round_up=False)] for rank in range(3)]
    assert counted(monkeypatch, uneven) == list(range(10))
    dropped = [[padded(rank, shuffle=False, drop_last=True)] for rank in range(3)]
    assert counted(monkeypatch, dropped) == list(range(9))


def test_the_loaders_of_a_loop() -> None:
    one, two = padded(0), padded(1)
    loop = SimpleNamespace(dataloader=one, more=dict(a=[two, one]), runner=object())
    assert loaders_of(loop) == [one, two]


@needs_native
@pytest.mark.parametrize("margin", [MARGIN, "auto"])
def test_metric_and_multipliers_share_one_pass(tmp_path, monkeypatch, margin):
    """With and without the metric, and with sharing off, the multipliers are the same."""
    passes = []
    dual_sums = dual_statistics.dual_sums
    monkeypatch.setattr(
        dual_statistics,
        "dual_sums",
        lambda *given, **more: passes.append(1) or dual_sums(*given, **more),
    )
    learned, values = [], []
    evaluators = ["IoUMetric", ["IoUMetric", "CalibrationMetric"], ["CalibrationMetric"]]
    for number, names in enumerate(evaluators):
        cfg = tiny_config(tmp_path, model__decode_head__loss_decode__margin=margin)
        names = [names] if isinstance(names, str) else names
        options = {"draw": False, "class_table": False}
        cfg.val_evaluator = [
            {"type": name, **(options if name == "CalibrationMetric" else {})} for name in names
        ]
        cfg.work_dir = str(tmp_path / f"work{number}")
        passes.clear()
        runner = train(cfg)
        assert bool(passes) == ("CalibrationMetric" not in names)
        state = runner.model.decode_head.loss_decode.state
        learned.append(torch.stack([state.multipliers, state.rho]).double())
        for metric in runner.val_evaluator.metrics:
            assert getattr(metric, "shared", None) is None
            if hasattr(metric, "statistics"):
                values.append(metric.statistics)
    assert learned[0].std() > 0
    torch.testing.assert_close(learned[1], learned[0], rtol=1e-6, atol=1e-7)
    assert torch.equal(learned[2], learned[1])
    assert values[0].count == values[1].count > 0
