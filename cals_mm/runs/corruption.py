"""Test a config on corrupted images."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from mmengine.config import Config

from cals_mm.config import type_name

from .data_root import data_sets

__all__ = ["Corruption", "corrupt_test_images"]

_TRANSFORM = "cals_mm.datasets.corruption.CorruptImage"


class Corruption(NamedTuple):
    """A kind of corruption and its severity."""

    kind: str
    severity: int

    @classmethod
    def parse(cls, text: str) -> Corruption:
        """Read ``KIND:SEVERITY``.

        Raises:
            ValueError: If it is not of this form, or no such corruption exists.
        """
        # OpenCV and mmcv are needed by images alone, not by texts.
        from cals_mm.datasets.corruption import check

        kind, _, number = text.partition(":")
        if not number.isdigit():
            raise ValueError(f"a corruption is KIND:SEVERITY, for instance blur:3, got {text!r}")
        check(kind, int(number))
        return cls(kind, int(number))

    def __str__(self) -> str:
        return f"{self.kind}:{self.severity}"


def corrupt_test_images(cfg: Config, corruption: Corruption) -> None:
    """Make the test of a config read corrupted images; validation and training stay.

    The images are corrupted at the end of the pipeline, at the size that the network sees.

    Args:
        cfg: The config, which is changed.
        corruption: The corruption.

    Raises:
        ValueError: If the test split has no pipeline that packs images.
    """
    # Splits may share a data set or a pipeline.
    cfg.test_dataloader = copy.deepcopy(cfg.test_dataloader)
    changed = False
    for _, dataset in data_sets(cfg, ("test_dataloader",)):
        pipeline = dataset.get("pipeline")
        packing = [i for i, step in enumerate(pipeline or []) if "Pack" in type_name(step)]
        if packing:
            step: dict[str, Any] = {"type": _TRANSFORM, **corruption._asdict()}
            dataset["pipeline"] = [*pipeline[: packing[0]], step, *pipeline[packing[0] :]]
            changed = True
    if not changed:
        raise ValueError(
            "the test split has no pipeline of images that ends in packing them, so there is "
            "nothing to corrupt"
        )
