"""Every config that the frameworks ship is accepted, or refused with a reason that fits."""

import importlib.util
import re
import warnings
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from cals_mm import add_cals
from cals_mm.config import find_site, type_name

FOLDERS = {
    name: Path(importlib.util.find_spec(name).origin).parent / ".mim" / "configs"
    for name in ("mmseg", "mmpretrain")
}
FILES = {
    name: [file for file in sorted(folder.rglob("*.py")) if "_base_" not in file.parts]
    for name, folder in FOLDERS.items()
}

# Why a config may be refused: what its model must be for each message.
REASONS = {
    r"classifies masks": {"Mask2FormerHead", "MaskFormerHead", "SideAdapterCLIPHead"},
    r"regresses depth": {"VPDDepthHead"},
    r"on its own \(multi-label\)": {"MultiLabelClsHead", "CSRAClsHead"},
    r"for mixup or cutmix.*type='LinearClsHead'": {"MultiLabelLinearClsHead"},
    r"ranks images": {"ArcFaceClsHead"},
    r"trains sigmoid outputs": {"LinearClsHead", "DepthwiseSeparableFCNHead"},
    r"neither decode_head nor head": {"None"},
    r"no model": {"None"},
    r"^the config has no val_dataloader": None,  # any head with a number of classes
    r"does not say a number of classes": None,
}


def head_of(cfg: Config) -> dict:
    model = cfg.get("model") or {}
    head = model.get("decode_head") or model.get("head") or {}
    return head[-1] if isinstance(head, list) else head


def walk(files: list[Path]) -> tuple[dict[str, tuple[dict, Path]], int]:
    """Heads of the accepted configs by type, and the number of the refused."""
    accepted, refused = {}, 0
    for file in files:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                cfg = Config.fromfile(str(file), import_custom_modules=False)
            except Exception:  # a few are broken, or need other frameworks
                continue
            try:
                new = add_cals(cfg)
            except ValueError as error:
                refused += 1
                check_reason(cfg, str(error), file)
                continue
        head = find_site(new.model).head
        assert "CALSLoss" in str(head.get("loss_decode") or head.get("loss")), file
        accepted[type_name(head)] = (head, file)
    return accepted, refused


def check_reason(cfg: Config, message: str, file: Path) -> None:
    assert "\n" not in message
    fitting = [heads for text, heads in REASONS.items() if re.search(text, message)]
    assert len(fitting) == 1, (file, message)
    heads = fitting[0]
    head = head_of(cfg)
    assert heads is None or type_name(head) in heads, (file, message)
    if message.startswith("the config has no val_dataloader"):
        assert not cfg.get("val_dataloader")
        find_site(cfg.model)  # else another refusal would follow
    if "a number of classes" in message:
        assert not head.get("num_classes"), file


def build(head: dict) -> None:
    """A head of the type; its sizes are those of the config."""
    from mmpretrain.utils import register_all_modules as register_mmpretrain
    from mmseg.utils import register_all_modules as register_mmseg

    segments = "loss_decode" in head
    (register_mmseg if segments else register_mmpretrain)(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmseg" if segments else "mmpretrain"):
        module = MODELS.build(head)
    assert any(type(part).__name__ == "CALSLoss" for part in module.modules())


@pytest.mark.parametrize("framework", FILES)
def test_a_sample_of_the_shipped_configs(framework: str) -> None:
    accepted, _ = walk(FILES[framework][::60])
    assert accepted
    head, _ = accepted[next(iter(accepted))]
    build(head)


@pytest.mark.slow
def test_all_shipped_configs_and_one_head_of_each_type() -> None:
    accepted, refused = walk([file for files in FILES.values() for file in files])
    assert len(accepted) > 30 and refused > 100
    failed = {}
    for name, (head, file) in accepted.items():
        try:
            build(head)
        except Exception as error:
            failed[name] = f"{file.name}: {type(error).__name__}: {error}"
    # What is needed for these is not installed.
    missing = {k: v for k, v in failed.items() if "ModuleNotFound" in v or "mmcv" in v}
    assert failed == missing
