"""Time of a training iteration with CALS against cross entropy, and of a validation with it.

    python benchmarks/bench_training.py --rounds 7

DeepLabV3 as in the configs, on random images: one model of each kind takes one optimizer step in
turn. Validation: the forward pass and mIoU of one image, with and without ``CalibrationMetric`` and
the statistics of the multipliers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from _timing import alternate, median_ratio, milliseconds, table
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData

from cals_mm.frameworks.logits import logits_and_target
from cals_mm.metrics import CalibrationMetric

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def build(method: str, name: str) -> torch.nn.Module:
    """Model of a config, weights from scratch, BN instead of the SyncBN that needs a GPU."""
    cfg = Config.fromfile(CONFIGS / method / f"{name}.py")
    init_default_scope(cfg.default_scope)
    cfg.model.pretrained = None
    _replace_sync_bn(cfg.model)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def _replace_sync_bn(part: dict) -> None:
    for key, value in part.items():
        if isinstance(value, dict):
            _replace_sync_bn(value)
        elif value == "SyncBN":
            part[key] = "BN"


def batch(images: int, height: int, width: int, num_classes: int) -> dict:
    """Random images and labels as the data preprocessor expects them."""
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(images):
        label = torch.randint(0, num_classes, (1, height, width))
        label[:, -height // 10 :] = 255
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
        samples[-1].set_metainfo({"img_shape": (height, width), "ori_shape": (height, width)})
    pixels = [torch.randint(0, 256, (3, height, width), dtype=torch.uint8) for _ in range(images)]
    return {"inputs": pixels, "data_samples": samples}


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds, each of some seconds")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--config", default="deeplabv3_demo", help="name under configs/ce and cals")
    parser.add_argument("--images", type=int, default=4, help="images of a batch")
    parser.add_argument("--height", type=int, default=256, help="pixels; the width is twice that")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    models = {method: build(method, args.config) for method in ("ce", "cals")}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    num_classes = models["ce"].num_classes
    data = batch(args.images, args.height, 2 * args.height, num_classes)
    optimizers = {}
    for method, model in models.items():
        model.to(device).train()
        optimizers[method] = torch.optim.SGD(model.parameters(), lr=1e-4)

    def iterate(method: str) -> None:
        model = models[method]
        losses = model(**model.data_preprocessor(data, training=True), mode="loss")
        loss = sum(value for key, value in losses.items() if "loss" in key)
        optimizers[method].zero_grad()
        loss.backward()
        optimizers[method].step()

    rounds = alternate({m: lambda m=m: iterate(m) for m in models}, args.rounds)
    iteration = median_ratio(rounds["cals"], rounds["ce"])

    model = models["cals"].eval()
    lagrangian = model.decode_head.loss_decode.lagrangian
    image = batch(1, args.height, 2 * args.height, num_classes)
    metric = CalibrationMetric(draw=False, class_table=False)

    @torch.no_grad()
    def validate(calibration: bool) -> None:
        (sample,) = model.val_step(image)
        logits, target = logits_and_target(sample)
        torch.bincount((target * num_classes + logits.argmax(0))[target != 255])
        if calibration:
            metric.process(None, [sample.to_dict()])
            lagrangian.start_dual_epoch().update(logits[None], (target != 255)[None])

    works = {"with": lambda: validate(True), "without": lambda: validate(False)}
    validations = alternate(works, args.rounds)
    validation = median_ratio(validations["with"], validations["without"])
    table(
        ("work", "ms", "against", "ms", "ratio"),
        [
            ("iteration, CALS", f"{milliseconds(rounds['cals']):.0f}", "cross entropy",
             f"{milliseconds(rounds['ce']):.0f}", f"{iteration:.3f}"),
            ("validation, metric and multipliers", f"{milliseconds(validations['with']):.0f}",
             "mIoU alone", f"{milliseconds(validations['without']):.0f}", f"{validation:.3f}"),
        ],
    )  # fmt: skip
    print(
        f"a training iteration with CALS takes {iteration:.3f} of one with cross entropy, "
        f"a validation with metric and multipliers {validation:.2f} of one without"
    )


if __name__ == "__main__":
    main()
