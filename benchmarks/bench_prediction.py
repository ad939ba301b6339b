"""Speed and memory of tools/predict.py, beside the bare forward pass.

    python benchmarks/bench_prediction.py --images data/camvid/images/val

An untrained DeepLabV3 of the CamVid config predicts the images, repeated where there are fewer.
The forward pass is the framework's test_step, from prepared images in memory to the class map. The
pictures should take at most a quarter of its time in addition, and memory should not grow with the
number of images.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from _timing import alternate, extra_mib, in_fresh_process, median_ratio, milliseconds, table
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, DefaultScope

from cals_mm.prediction import (
    ImageModel,
    Input,
    Loaded,
    MapFiles,
    find_inputs,
)

CONFIG = Path(__file__).parents[1] / "configs/ce/deeplabv3_camvid.py"


def repeated(folder: str, count: int) -> list[Input]:
    """``count`` inputs with names of their own."""
    files = itertools.islice(itertools.cycle(find_inputs([folder])), count)
    return [Input(file.path, f"{number}") for number, file in enumerate(files)]


def untrained() -> ImageModel:
    """The model, with random weights."""
    cfg = Config.fromfile(CONFIG)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        weights = MODELS.build(cfg.model).state_dict()
    return ImageModel(cfg, weights)


def write(model: ImageModel, inputs: Sequence[Input]) -> None:
    """From image files to pictures, as the command does."""
    with tempfile.TemporaryDirectory() as folder, model.workers() as pool:
        results = MapFiles(folder, model.classes)
        for failure in results.write(model.predict_files(inputs, pool), pool):
            assert failure is None, failure


@torch.no_grad()
def forward(model: ImageModel, packed: Sequence[Loaded]) -> None:
    """The network alone, on prepared images."""
    for image in packed:
        model.model.test_step(pseudo_collate([image.packed]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", default="data/camvid/images/val", help="folder of images")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of 200 images each")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    model = untrained()
    if args.memory_of:
        write(model, repeated(args.images, 5))
        print(extra_mib(lambda: write(model, repeated(args.images, args.memory_of))))
        return
    inputs = repeated(args.images, 200)
    packed = [image for image in map(model.read, inputs) if isinstance(image, Loaded)]
    seconds = alternate(
        {"forward": lambda: forward(model, packed), "predict": lambda: write(model, inputs)},
        args.rounds,
        warm_up=0,
    )
    each = {name: [value / len(inputs) for value in values] for name, values in seconds.items()}
    speed = median_ratio(each["forward"], each["predict"])
    rows = [[name, f"{milliseconds(values):.1f}"] for name, values in each.items()]
    table(["work", "median ms an image"], rows)
    print(f"speed of predict, of the forward pass: {speed:.2f}; {torch.get_num_threads()} threads")
    for count in (50, 200, 800):
        peak = in_fresh_process(__file__, "--images", args.images, "--memory-of", str(count))
        print(f"{count} images: {peak:.0f} MiB above the memory before")


if __name__ == "__main__":
    main()
