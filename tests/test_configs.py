"""Every config of the project builds, trained with any method of the table that is for it."""

import ast
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS, init_default_scope

from cals_mm import CALSLoss, SampleCALSLoss, with_method
from cals_mm.config import suitable_methods
from cals_mm.core import HeuristicRule
from cals_mm.hooks._following import FollowingHook
from cals_mm.losses import StatefulLoss
from cals_mm.methods import METHODS

ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path for path in ROOT.rglob("*.py") if "_base_" not in path.parts)
PLAIN = [path for path in CONFIGS if path.parent.name == "ce"]
CALS = [path for path in CONFIGS if path.parent.name == "cals"]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def load(path: Path) -> Config:
    cfg = Config.fromfile(path)
    init_default_scope(cfg.get("default_scope", "mmengine"))
    return cfg


def innermost(dataset: dict) -> dict:
    """The data set inside its wrappers."""
    return innermost(dataset["dataset"]) if "dataset" in dataset else dataset


def take_loss(cfg: Config) -> tuple[dict, int]:
    """Remove the loss of the prediction from a config; it and its number of classes."""
    head, key = cfg.model.get("decode_head"), "loss_decode"
    if head is None:
        head, key = cfg.model.head, "loss"
    return head.pop(key), head.num_classes


def build_model(cfg: Config) -> torch.nn.Module:
    # Weights are not fetched in a test; init_weights is what would fetch them. mmpretrain computes
    # with values while it builds, so its models need real memory.
    with torch.device("meta" if cfg.default_scope == "mmseg" else "cpu"):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_builds(path: Path) -> None:
    cfg = load(path)
    model = build_model(cfg)
    for hook in (*cfg.custom_hooks, *cfg.default_hooks.values()):
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


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_every_method_changes_the_loss_and_its_hook_alone(path: Path) -> None:
    plain = load(path)
    suitable = suitable_methods(plain)
    kind = "segmentation" if plain.default_scope == "mmseg" else "classification"
    assert set(suitable) >= {n for n, m in METHODS.items() if m.only in (None, kind)} - {
        "cals_sample"
    }
    reference = with_method(plain, "ce").to_dict()
    assert reference == plain.to_dict()
    for name in suitable[1:]:
        method, cfg = METHODS[name], with_method(plain, name)
        config, num_classes = take_loss(cfg)
        check_loss(name, MODELS.build(config), num_classes, segmentation=kind == "segmentation")
        hooks = cfg.custom_hooks
        if method.hook:
            assert isinstance(HOOKS.build(hooks.pop()), FollowingHook)
        bare = copy.deepcopy(plain)
        take_loss(bare)
        assert cfg.to_dict() == bare.to_dict(), name


def check_loss(name: str, loss: torch.nn.Module, num_classes: int, segmentation: bool) -> None:
    """The loss is the method's, follows what the method's hook moves, and has a value."""
    method = METHODS[name]
    assert type(loss) is method.loss
    assert getattr(loss, "driven_by", None) == method.hook
    if isinstance(loss, CALSLoss):
        assert isinstance(loss.rule, HeuristicRule) == (name == "cals_hr")
        assert bool(loss.rule.auto_margin) == (name == "cals_auto")
    shape = (2, 2) if segmentation else ()
    if isinstance(loss, SampleCALSLoss):
        loss.start_batch([0, 1])
    logits, target = torch.zeros(2, num_classes, *shape), torch.zeros(2, *shape, dtype=torch.long)
    assert loss(logits, target).isfinite()


# One small model of each kind; methods change the loss and its hook alone.
SMALL = {
    "deeplabv3_demo": "segmentation",
    "resnet_digits-lt": "classification",
    "gpcnn_20newsgroups": "classification",
}
PAIRS = [
    (config, name)
    for config, kind in SMALL.items()
    for name, method in METHODS.items()
    if method.loss and method.only in (None, kind)
]


@pytest.mark.parametrize(("config", "name"), PAIRS)
def test_a_model_is_built_with_every_method(config: str, name: str) -> None:
    cfg = load(ROOT / f"ce/{config}.py")
    cfg = with_method(cfg, name)
    model = build_model(cfg)
    loss = model.decode_head.loss_decode if "deeplab" in config else model.head.loss_module
    assert type(loss) is METHODS[name].loss
    followers = [module for module in model.modules() if isinstance(module, StatefulLoss)]
    drivers = [h for h in map(HOOKS.build, cfg.custom_hooks) if isinstance(h, FollowingHook)]
    assert [type(hook).__name__ for hook in drivers] == [loss.driven_by for loss in followers]


@pytest.mark.parametrize("path", CALS, ids=name_of)
def test_the_files_of_cals_say_what_the_table_says(path: Path) -> None:
    written, made = load(path), with_method(load(ROOT / "ce" / path.name), "cals")
    losses = [MODELS.build(take_loss(cfg)[0]) for cfg in (written, made)]
    assert written.to_dict() == made.to_dict()
    margins = {float(loss.rule.margin) for loss in losses}
    assert len(margins) == 1
    assert {type(loss) for loss in losses} == {CALSLoss}


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_every_task_has_its_margin(path: Path) -> None:
    # Without one `--cals` would mean the automatic margin, other than the files of CALS.
    assert load(path).method_defaults.margin > 0


def test_every_plain_config_has_its_namesake_with_cals() -> None:
    assert [path.name for path in PLAIN] == [path.name for path in CALS]
    assert {path.parent.name for path in CONFIGS} == {"ce", "cals"}


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_multipliers_are_learned_on_neither_train_nor_test(path: Path) -> None:
    cfg = load(path)
    splits = [
        {
            key: value
            for key, value in innermost(cfg[f"{split}_dataloader"].dataset).items()
            if key in ("data_root", "data_prefix", "ann_file", "fold", "split")
        }
        for split in ("train", "val", "test")
    ]
    assert splits[0] != splits[1] != splits[2] != splits[0]


def test_one_multiplier_for_each_digit_that_is_trained_on() -> None:
    cfg = load(ROOT / "ce/resnet_digits-lt.py")
    samples = len(DATASETS.build(cfg.train_dataloader.dataset))
    assert cfg.method_defaults.num_samples == samples


def test_leaf_configs_are_short() -> None:
    for path in CONFIGS:
        assert len(path.read_text().splitlines()) <= 25, path
        ast.parse(path.read_text())
