"""What losses before resizing save: loss path of a head, training iteration, peak memory.

    python benchmarks/bench_upsampled.py --rounds 9

The loss path is ``BaseDecodeHead.loss_by_feat``, forward and backward by the head's logits: with
mmsegmentation's cross entropy as it is, and with CALS fused with resizing and accuracy. An
iteration is a whole step of a model: the same with mmsegmentation's cross entropy, with CALS
fused, and with CALS as configured. Peak memory is the high-water mark of the resident memory of a
fresh process above what it had when the logits stood.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import torch
from _timing import (
    alternate,
    available_mib,
    extra_mib,
    in_fresh_process,
    median_ratio,
    milliseconds,
    table,
)
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

import cals_mm  # noqa: F401, registers CALSLoss
from cals_mm.hooks._fused_heads import fuse_heads

PATHS = (((2, 19, 64, 128), (512, 1024)), ((2, 150, 128, 128), (512, 512)))
MEMORY = ((8, 171, 128, 128), (512, 512))
MEMORY_NEEDED = 8 << 10
"""MiB that must be free: mmsegmentation takes three tensors of 1.4 GiB, and there are others."""
NAMES = ("mmseg", "CALS fused")

NORM = dict(type="BN")


def head_of(num_classes: int, *, cals: bool) -> nn.Module:
    """A decode head of which nothing but the losses is used."""
    loss = dict(type="CALSLoss", num_classes=num_classes) if cals else dict(type="CrossEntropyLoss")
    head = FCNHead(
        in_channels=4, channels=4, num_convs=1, num_classes=num_classes, loss_decode=loss
    )
    if cals:
        fuse_heads(head)
    return head


def samples_of(images: int, num_classes: int, size: tuple[int, int]) -> list[SegDataSample]:
    """Labels of which a band is ignored."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, num_classes, (images, 1, *size), generator=generator)
    labels[:, :, :20] = 255
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def loss_paths(shape: tuple[int, ...], size: tuple[int, int]) -> dict[str, Callable[[], object]]:
    """Forward and backward of a head's losses, on the same logits."""
    samples = samples_of(shape[0], shape[1], size)
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0)).mul_(5)
    logits.requires_grad_()

    def path(head: nn.Module) -> Callable[[], None]:
        def step() -> None:
            logits.grad = None
            values = head.loss_by_feat(logits, samples)
            sum(value for name, value in values.items() if "loss" in name).backward()

        return step

    heads = (head_of(shape[1], cals=False), head_of(shape[1], cals=True))
    return {name: path(head) for name, head in zip(NAMES, heads, strict=True)}


def deeplab() -> dict:
    """The small DeepLabV3 of the demo's size, with its auxiliary head."""
    head = dict(num_classes=19, norm_cfg=NORM, loss_decode=dict(type="CrossEntropyLoss"))
    return dict(
        type="EncoderDecoder",
        data_preprocessor=dict(type="SegDataPreProcessor"),
        backbone=dict(
            type="ResNetV1c",
            depth=18,
            stem_channels=16,
            base_channels=16,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            contract_dilation=True,
            norm_cfg=NORM,
        ),
        decode_head=dict(
            type="ASPPHead", in_channels=128, in_index=3, channels=64, dilations=(1, 6, 12), **head
        ),
        auxiliary_head=dict(
            type="FCNHead", in_channels=64, in_index=2, channels=32, num_convs=1, **head
        ),
        train_cfg=dict(),
        test_cfg=dict(mode="whole"),
    )


def segformer() -> dict:
    """SegFormer-B0 with 150 classes."""
    return dict(
        type="EncoderDecoder",
        data_preprocessor=dict(type="SegDataPreProcessor"),
        backbone=dict(
            type="MixVisionTransformer",
            embed_dims=32,
            num_layers=[2, 2, 2, 2],
            num_heads=[1, 2, 5, 8],
            patch_sizes=[7, 3, 3, 3],
            sr_ratios=[8, 4, 2, 1],
        ),
        decode_head=dict(
            type="SegformerHead",
            in_channels=[32, 64, 160, 256],
            in_index=[0, 1, 2, 3],
            channels=256,
            num_classes=150,
            norm_cfg=NORM,
            loss_decode=dict(type="CrossEntropyLoss"),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode="whole"),
    )


MODELS_TIMED = {
    "DeepLabV3, 19 classes": (deeplab, 4, (256, 512)),
    "SegFormer-B0, 150 classes": (segformer, 2, (512, 512)),
}


def iterations(
    build: Callable[[], dict], images: int, size: tuple[int, int]
) -> dict[str, Callable[[], object]]:
    """Training steps of a model: with cross entropy, with CALS fused, with CALS as configured."""
    num_classes = build()["decode_head"]["num_classes"]
    samples = samples_of(images, num_classes, size)
    inputs = torch.randn(images, 3, *size, generator=torch.Generator().manual_seed(0))

    def step_of(cals: bool, fused: bool) -> Callable[[], None]:
        config = build()
        if cals:
            config["decode_head"]["loss_decode"] = dict(type="CALSLoss", num_classes=num_classes)
        torch.manual_seed(0)
        model = MODELS.build(Config(config).to_dict()).train()
        if fused:
            fuse_heads(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)

        def step() -> None:
            loss, _ = model.parse_losses(model.loss(inputs, samples))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return step

    return {
        "mmseg": step_of(False, False),
        "CALS fused": step_of(True, True),
        "CALS": step_of(True, False),
    }


def extra_memory(name: str) -> float:
    """MiB above the logits that one forward and backward takes; to be run in a fresh process."""
    loss_paths((1, 8, 20, 20), (80, 80))[name]()  # what the code itself and its threads need, once
    return extra_mib(loss_paths(*MEMORY)[name])


def compare(work: str, steps: dict[str, Callable[[], object]], rounds: int) -> None:
    """Print the times of some steps that take turns, and their ratios to mmsegmentation's."""
    seconds = alternate(steps, rounds, warm_up=1)
    rows = [
        [work, name, f"{milliseconds(values):.1f}", f"{median_ratio(values, seconds['mmseg']):.3f}"]
        for name, values in seconds.items()
    ]
    table(["work", "with", "median ms", "of mmseg's"], rows)


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each comparison")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--memory-of", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")
    init_default_scope("mmseg")
    if args.memory_of:
        print(extra_memory(args.memory_of))
        return
    for shape, size in PATHS:
        compare(f"loss path {shape} to {size[0]} x {size[1]}", loss_paths(shape, size), args.rounds)
    for name, arguments in MODELS_TIMED.items():
        compare(f"iteration of {name}", iterations(*arguments), args.rounds)
    free = available_mib()
    if free < MEMORY_NEEDED:
        print(f"peak memory: not measured, it takes {MEMORY_NEEDED} MiB and {free:.0f} are free")
        return
    memory = {name: in_fresh_process(__file__, "--memory-of", name) for name in NAMES}
    ratio = memory["CALS fused"] / memory["mmseg"]
    print(
        f"peak memory above the logits, {MEMORY[0]} to {MEMORY[1]}: "
        f"{memory['CALS fused']:.0f} of {memory['mmseg']:.0f} MiB, {ratio:.3f}"
    )


if __name__ == "__main__":
    main()
