"""Every config of the project builds its model, losses, hooks and data pipeline."""

import ast
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS, init_default_scope

from cals_mm import CALSLoss, SampleCALSLoss
from cals_mm.core import HeuristicRule
from cals_mm.hooks._following import FollowingHook
from cals_mm.losses import StatefulLoss

ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path for path in ROOT.rglob("*.py") if "_base_" not in path.parts)
PLAIN = [path for path in CONFIGS if path.parent.name == "ce"]
METHODS = [path for path in CONFIGS if path.parent.name != "ce"]
# Methods change the loss and its hook alone, so two models of theirs stand for all.
BUILT = PLAIN + [p for p in METHODS if p.name in ("deeplabv3_demo.py", "resnet_digits-lt.py")]

# What each folder's configs train the prediction with; cross entropy is the framework's own.
LOSSES = {
    "acls": "ACLSLoss",
    "adafocal": "AdaFocalLoss",
    "brier": "BrierLoss",
    "cals": "CALSLoss",
    "cals_hr": "CALSLoss",
    "cals_sample": "SampleCALSLoss",
    "ce": "CrossEntropyLoss",
    "cpc": "PairwiseConstraintLoss",
    "crac": "CRaCLoss",
    "ecp": "EntropyPenaltyLoss",
    "flsd": "FLSDLoss",
    "focal": "SoftmaxFocalLoss",
    "label_smoothing": "SmoothedCrossEntropyLoss",
    "mbls": "MbLSLoss",
    "mmce": "MMCELoss",
}

# Of the text configs only the benchmark exists for every method.
TEXT_EXTRAS = {
    "gpcnn_20newsgroups-bydate.py",
    "meanmlp_stdlib-docs.py",
    "meanmlp_20newsgroups.py",
}

# Methods that are not for every benchmark, and those that they are for.
SOME_BENCHMARKS = {
    "crac": ["deeplabv3_*.py"],
    "cals_sample": ["resnet_digits-lt.py", "gpcnn_20newsgroups.py"],
}


def innermost(dataset: dict) -> dict:
    """The data set inside its wrappers."""
    return innermost(dataset["dataset"]) if "dataset" in dataset else dataset


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def load(path: Path) -> Config:
    cfg = Config.fromfile(path)
    init_default_scope(cfg.get("default_scope", "mmengine"))
    return cfg


@pytest.mark.parametrize("path", BUILT, ids=name_of)
def test_builds(path: Path) -> None:
    cfg = load(path)
    # Weights are not fetched in a test; init_weights is what would fetch them. mmpretrain computes
    # with values while it builds, so its models need real memory.
    with torch.device("meta" if cfg.default_scope == "mmseg" else "cpu"):
        model = MODELS.build(cfg.model)
    if path.parent.name in LOSSES:
        segmentation = cfg.default_scope == "mmseg"
        loss = model.decode_head.loss_decode if segmentation else model.head.loss_module
        # None is PyTorch's cross entropy in a text head.
        name = "CrossEntropyLoss" if loss is None else type(loss).__name__
        assert name == LOSSES[path.parent.name]
    followers = [module for module in model.modules() if isinstance(module, StatefulLoss)]
    hooks = [HOOKS.build(hook) for hook in cfg.custom_hooks]
    rules = [loss.rule for loss in followers if isinstance(loss, CALSLoss)]
    method = path.parent.name
    assert bool(rules) == (method in ("cals", "cals_hr"))
    assert any(isinstance(rule, HeuristicRule) for rule in rules) == (method == "cals_hr")
    assert not any(rule.auto_margin for rule in rules)
    assert bool(followers) == method.startswith(("adafocal", "cals", "crac"))
    drivers = {type(hook).__name__ for hook in hooks if isinstance(hook, FollowingHook)}
    assert drivers == {loss.driven_by for loss in followers}
    for hook in cfg.default_hooks.values():
        HOOKS.build(hook)
    for split in ("train", "val", "test"):
        dataset = cfg[f"{split}_dataloader"].dataset
        built = DATASETS.build(dict(dataset, lazy_init=True))
        num_classes = getattr(model, "num_classes", None) or model.head.num_classes
        assert len(built.metainfo["classes"]) == num_classes
        for transform in innermost(dataset).get("pipeline", []):
            TRANSFORMS.build(transform)
    for metrics in (cfg.val_evaluator, cfg.test_evaluator):
        for metric in metrics:
            METRICS.build(metric)


def take_loss(cfg: Config) -> tuple[dict, int]:
    """Remove the loss of the prediction from a config; it and its number of classes."""
    head, key = cfg.model.get("decode_head"), "loss_decode"
    if head is None:
        head, key = cfg.model.head, "loss"
    return head.pop(key), head.num_classes


@pytest.mark.parametrize("path", METHODS, ids=name_of)
def test_a_method_differs_from_cross_entropy_by_its_loss_and_hook_alone(path: Path) -> None:
    cfg, plain = load(path), load(ROOT / "ce" / path.name)
    config, num_classes = take_loss(cfg)
    take_loss(plain)
    loss = MODELS.build(config)
    assert type(loss).__name__ == LOSSES[path.parent.name]
    shape = (2, 2) if cfg.default_scope == "mmseg" else ()
    logits, target = torch.zeros(2, num_classes, *shape), torch.zeros(2, *shape, dtype=torch.long)
    if isinstance(loss, SampleCALSLoss):
        loss.start_batch([0, 1])
    assert loss(logits, target).isfinite()
    if isinstance(loss, StatefulLoss):
        assert cfg.custom_hooks.pop()["type"] == loss.driven_by
    assert cfg.to_dict() == plain.to_dict()


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_multipliers_are_learned_on_neither_train_nor_test(path: Path) -> None:
    cfg = load(path)
    splits = [
        {
            key: value
            for key, value in innermost(cfg[f"{split}_dataloader"].dataset).items()
            if key in ("data_root", "data_prefix", "ann_file", "split")
        }
        for split in ("train", "val", "test")
    ]
    assert splits[0] != splits[1] != splits[2] != splits[0]


def test_every_method_has_every_benchmark() -> None:
    for method in LOSSES:
        names = {path.name for path in (ROOT / method).glob("*.py")}
        patterns = SOME_BENCHMARKS.get(method, ["*.py"])
        benchmarks = {p.name for pattern in patterns for p in (ROOT / "cals").glob(pattern)}
        benchmarks -= TEXT_EXTRAS
        assert not benchmarks - names, method


@pytest.mark.parametrize("method", ["acls", "cals_sample", "crac", "mbls"])
def test_margins_are_those_of_cals(method: str) -> None:
    for path in sorted((ROOT / method).glob("*.py")):
        loss, _ = take_loss(load(path))
        cals, _ = take_loss(load(ROOT / "cals" / path.name))
        assert loss.margin == cals.margin, path


def test_one_multiplier_for_each_digit_that_is_trained_on() -> None:
    cfg = load(ROOT / "cals_sample/resnet_digits-lt.py")
    assert take_loss(cfg)[0].num_samples == len(DATASETS.build(cfg.train_dataloader.dataset))


def test_leaf_configs_are_short() -> None:
    for path in CONFIGS:
        assert len(path.read_text().splitlines()) <= 25, path
        ast.parse(path.read_text())
