"""What the validation of an image costs with metric and multipliers, and without.

    python benchmarks/bench_validation.py --rounds 9

An image of 1024 x 2048 with 19 classes, from the head's logits at an eighth of the size on:
mmsegmentation enlarges them, predicts and measures the mIoU. With CALS, calibration metric and
multipliers read the same logits, in one pass for both; the third row takes a pass for each. The
network before the head is left out, which would bring all ratios closer to 1.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import torch
from _timing import alternate, median_ratio, milliseconds, table
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.evaluation.metrics import IoUMetric
from mmseg.models.decode_heads import FCNHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from cals_mm.core import DualStatistics, SharedPass
from cals_mm.metrics import CalibrationMetric

NUM_CLASSES, SIZE, VOID = 19, (1024, 2048), 255


def image(seed: int) -> tuple[Tensor, SegDataSample]:
    """Logits before enlarging, (1, K, h, w), of a model that is right at nine pixels of ten."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, NUM_CLASSES, 16, 32), generator=generator)
    logits = 12 * torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic")
    label = torch.nn.functional.interpolate(logits, size=SIZE, mode="bilinear").argmax(1)
    wrong = torch.rand(label.shape, generator=generator) < 0.1
    label[wrong] = torch.randint(0, NUM_CLASSES, (int(wrong.sum()),), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.05] = VOID
    meta = {"img_shape": SIZE, "ori_shape": SIZE, "img_path": "image"}
    return logits, SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=meta)


def works() -> dict[str, Callable[[], object]]:
    """The same validation with more and more readers."""
    logits, sample = image(0)
    head = FCNHead(in_channels=4, channels=4, num_convs=1, num_classes=NUM_CLASSES)
    iou = IoUMetric(prefix="iou")
    iou.dataset_meta = {"classes": [str(k) for k in range(NUM_CLASSES)]}
    metric = CalibrationMetric(draw=False, class_table=False)
    statistics = DualStatistics(torch.ones(NUM_CLASSES), torch.ones(NUM_CLASSES), margin=10.0)

    def predict() -> SegDataSample:
        large = head.predict_by_feat(logits, [sample.metainfo])
        (seen,) = EncoderDecoder.postprocess_result(head, large, [sample])
        iou.process({}, [seen.to_dict()])
        iou.results.clear()
        return seen

    def learn(shared: SharedPass | None) -> None:
        seen = predict()
        metric.shared = shared
        metric.process({}, [seen.to_dict()])
        scores, target = seen.seg_logits.data[None], seen.gt_sem_seg.data
        sums = None if shared is None else shared.take(scores)
        statistics.update(scores, target != VOID, target, sums)

    return {
        "mIoU": predict,
        "mIoU, metric and multipliers": lambda: learn(SharedPass(statistics, VOID)),
        "the same, a pass for each": lambda: learn(None),
    }


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds, each about three seconds")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    init_default_scope("mmseg")
    with torch.no_grad():
        seconds = alternate(works(), args.rounds, warm_up=1)
    rows = [
        [name, f"{milliseconds(values):.0f}", f"{median_ratio(values, seconds['mIoU']):.3f}"]
        for name, values in seconds.items()
    ]
    table([f"validation of ({NUM_CLASSES}, {SIZE[0]}, {SIZE[1]})", "median ms", "of mIoU's"], rows)


if __name__ == "__main__":
    main()
