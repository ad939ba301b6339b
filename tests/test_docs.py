"""What README and docs name exists, and what they tell to write works."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS, DefaultScope

from cals_mm.functional import CALIBRATION_VALUES

from .pages import PAGES, ROOT, code, commands, pages, prose


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in links."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


@pages
def test_links_and_images_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(file), f"{target}: no such heading"


@lru_cache
def make_targets() -> frozenset[str]:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return frozenset(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@pages
def test_make_targets_exist(page):
    for command in commands(page):
        words = command.split()
        if words[:1] == ["make"]:
            named = {word for word in words[1:] if "=" not in word and word.islower()}
            assert named <= make_targets(), command


@pages
def test_paths_exist(page):
    text = page.read_text("utf-8")
    folders = "tools|configs|docs|tests|benchmarks|cals_mm"
    for path in re.findall(rf"(?<![\w./-])(?:{folders})/[\w./*<>-]*", text):
        path = path.rstrip(".")
        placeholder = set(path) & set("*<>") or "NNN" in path
        if not placeholder:
            assert (ROOT / path).exists(), f"{path} does not exist"


def test_no_example_is_skipped():
    mark = "doctest: +" + "SKIP"
    skipped = [file for file in (ROOT / "cals_mm").rglob("*.py") if mark in file.read_text("utf-8")]
    assert skipped == [], "an example that does not run is no example"


def test_every_calibration_value_is_documented():
    table = (ROOT / "docs" / "adding-cals.md").read_text("utf-8").split("| name | meaning |")[1]
    named = re.findall(r"`(?:calibration/)?(\w+)`", table.split("\n\n")[0])
    assert set(named) == set(CALIBRATION_VALUES)


@pages
def test_no_path_of_one_machine(page):
    text = page.read_text("utf-8")
    found = re.search(r"(?<![\w.])/(?:work|root|home|Users|mnt|tmp)/\S*|\.\./shared\S*", text)
    assert not found, found


def test_the_pins_in_the_readme_are_those_of_the_constraints():
    constraints, readme = ((ROOT / n).read_text("utf-8") for n in ("constraints.txt", "README.md"))
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)", constraints, re.MULTILINE))
    row = re.search(r"^\| (onedl-mmengine .*?), Python", readme, re.MULTILINE)
    assert row
    named = dict(entry.split() for entry in row[1].split(", "))
    assert named == {name: pins[name] for name in named}


SEGMENTOR = """
default_scope = "mmseg"
model = dict(
    type="EncoderDecoder",
    backbone=dict(
        type="ResNetV1c", depth=18, stem_channels=8, base_channels=8, num_stages=1, strides=(1,),
        dilations=(1,), out_indices=(0,)),
    decode_head=dict(
        type="FCNHead", in_channels=8, in_index=0, channels=8, num_convs=1, num_classes=19,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(), test_cfg=dict(mode="whole"))
"""

CLASSIFIER = """
default_scope = "mmpretrain"
model = dict(
    type="ImageClassifier",
    backbone=dict(type="MobileNetV2", widen_factor=0.1),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead", num_classes=1000, in_channels=1280, topk=(1, 5),
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1)))
"""


def snippets() -> list:
    """The configs in README and docs that build on a config of the reader's."""
    return [
        pytest.param(body, id=f"{page.name}-{number}")
        for page in PAGES
        for number, body in enumerate(code(page, "python"))
        if "_base_ =" in body and "CALSLoss" in body
    ]


@pytest.mark.parametrize("snippet", snippets())
def test_the_three_lines_turn_a_plain_config_into_one_that_builds(snippet, tmp_path):
    base = re.search(r'_base_ = "(.*)"', snippet)[1]
    segmentation = "decode_head" in snippet
    (tmp_path / base).write_text(SEGMENTOR if segmentation else CLASSIFIER)
    (tmp_path / "mine.py").write_text(snippet)
    before, cfg = (Config.fromfile(tmp_path / name) for name in (base, "mine.py"))

    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        hooks = [type(HOOKS.build(hook)).__name__ for hook in cfg.custom_hooks]
    loss = model.decode_head.loss_decode if segmentation else model.head.loss_module
    num_classes = 19 if segmentation else 1000
    assert type(loss).__name__ == "CALSLoss"
    assert loss.lagrangian.num_classes == num_classes
    assert "CALSMultiplierHook" in hooks
    assert loss(torch.zeros(2, num_classes), torch.tensor([0, 1])).isfinite()

    changed = cfg.model.decode_head if segmentation else cfg.model.head
    changed["loss_decode" if segmentation else "loss"] = None
    head = before.model.decode_head if segmentation else before.model.head
    head["loss_decode" if segmentation else "loss"] = None
    assert cfg.model == before.model, "nothing but the loss changes in the model"


def test_there_are_three_such_configs():
    assert len(snippets()) == 3


def test_quoted_error_messages_exist():
    sources = [*(ROOT / "cals_mm").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    text = "\n".join(file.read_text("utf-8") for file in sources)
    text = re.sub(r'"\s*\n\s*f?"', "", text)  # one message over several lines
    page = (ROOT / "docs" / "adding-cals.md").read_text("utf-8")
    table = page.split("## What the error messages mean")[1]
    quoted = [
        message
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for message in re.findall(r"`([^`]+)`", row)
    ]
    assert len(quoted) > 15
    for message in quoted:
        # What stands between the values: the longer pieces are in the source.
        pieces = [piece.strip() for piece in re.split(r"\.{2,}|[\d,():]+|'.*?'", message)]
        longest = [piece for piece in pieces if len(piece) >= 8]
        assert any(piece in text for piece in longest), message
