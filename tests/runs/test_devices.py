"""Several processes without a GPU: synchronised batch norm, wherever it comes from, gives way."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODEL_WRAPPERS, MODELS
from mmengine.runner import Runner
from torch import nn

from cals_mm.runs.devices import prepare_devices
from tests.tiny import free_port, tiny_config


@MODELS.register_module()
class SynchronisedByDefault(nn.Sequential):
    """A backbone whose constructor chooses the norm."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 1), nn.SyncBatchNorm(8))

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (super().forward(inputs),)


def with_norm(cfg: Config, norm: dict) -> None:
    for part in (cfg.model.backbone, cfg.model.decode_head):
        part.norm_cfg = norm


def with_default(cfg: Config, norm: dict) -> None:
    cfg.model.backbone = dict(type="SynchronisedByDefault")


def with_conversion(cfg: Config, norm: dict) -> None:
    cfg.sync_bn = norm["type"]


@MODEL_WRAPPERS.register_module()
class UsersWrapper(MMDistributedDataParallel):
    """A wrapper that leaves the model as it is."""


def with_own_wrapper(cfg: Config, norm: dict) -> None:
    cfg.model_wrapper_cfg = dict(type="UsersWrapper")
    (with_norm if norm["type"].endswith("BN") else with_conversion)(cfg, norm)


CASES = {
    "SyncBN": (with_norm, dict(type="SyncBN")),
    "mmengine.SyncBN": (with_norm, dict(type="mmengine.SyncBN")),
    "MMSyncBN": (with_norm, dict(type="MMSyncBN")),
    "dotted": (with_norm, dict(type="torch.nn.SyncBatchNorm")),
    "long": (with_norm, dict(type="torch.nn.modules.batchnorm.SyncBatchNorm")),
    "class": (with_norm, dict(type=nn.SyncBatchNorm)),
    "constructor": (with_default, {}),
    "conversion": (with_conversion, dict(type="torch")),
    "conversion by mmcv": (with_conversion, dict(type="mmcv")),
    "own wrapper": (with_own_wrapper, dict(type="SyncBN")),
    "conversion, own wrapper": (with_own_wrapper, dict(type="torch")),
}


def build(rank: int, root: str, port: int) -> None:
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    found = {}
    for name, (change, norm) in CASES.items():
        cfg = tiny_config(Path(root), steps=1)
        change(cfg, norm)
        cfg.experiment_name = name
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        try:
            prepare_devices(cfg, "pytorch")
            modules = list(Runner.from_cfg(cfg).model.modules())
            found[name] = any(isinstance(module, nn.SyncBatchNorm) for module in modules)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    torch.save(found, f"{root}/found.pt")


def test_no_batch_norm_is_synchronised(tmp_path: Path) -> None:
    mp.spawn(build, (str(tmp_path), free_port()), nprocs=1, join=True)
    assert torch.load(tmp_path / "found.pt") == dict.fromkeys(CASES, False)


def test_the_users_wrapper_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(variable, "0")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *args, **kwargs: None)
    wrapper = dict(type="MMSeparateDistributedDataParallel", broadcast_buffers=True)
    cfg = Config(dict(model={}, model_wrapper_cfg=wrapper))
    prepare_devices(cfg, "pytorch")
    assert cfg.model_wrapper_cfg.type == wrapper["type"]
    assert cfg.model_wrapper_cfg.broadcast_buffers and cfg.model_wrapper_cfg.device_ids is None
