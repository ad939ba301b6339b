"""Export a trained segmentor or classifier to ONNX, and check the file in onnxruntime.

    python tools/export_onnx.py CONFIG.py CHECKPOINT.pth model.onnx --size 512 1024

The file takes images (N, 3, H, W), float32 in 0..255, as the config's pipeline gives them (BGR for
files), and gives probabilities: calibrated ones, if the checkpoint is. It needs the extra
`cals-mm[export]` here and only onnxruntime where it runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from mmengine.config import DictAction
from mmengine.runner import CheckpointLoader

from cals_mm import runs
from cals_mm.prediction import ImageModel, export_onnx


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", metavar="CONFIG", help="config of the training run")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the trained model")
    parser.add_argument("out", metavar="FILE.onnx", help="the new file")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        required=True,
        metavar=("H", "W"),
        help="height and width of the images in pixels",
    )
    parser.add_argument(
        "--logits", action="store_true", help="give the logits instead of the probabilities"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE", help="config changes"
    )
    args = parser.parse_args(argv)
    if min(args.size) < 1:
        parser.error(f"--size must be positive, got {args.size[0]} {args.size[1]}")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    cfg = runs.load_config(args.config, args.cfg_options)
    runs.check_checkpoint(args.checkpoint)
    runs.check_writable(os.path.dirname(os.path.abspath(args.out)), "FILE.onnx")
    checkpoint = CheckpointLoader.load_checkpoint(
        args.checkpoint, map_location="cpu", logger="silent"
    )
    model = ImageModel(cfg, checkpoint).model
    mean = (cfg.model.get("data_preprocessor") or {}).get("mean") or (0, 0, 0)
    with runs.written_by("FILE.onnx"):
        difference = export_onnx(model, args.out, args.size, logits=args.logits, channels=len(mean))
    print(f"{args.out}: in onnxruntime at most {difference:.1e} off the model")
