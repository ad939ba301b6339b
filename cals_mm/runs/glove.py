"""Let a text classifier start from GloVe's word vectors."""

from __future__ import annotations

import os

from mmengine.config import Config

from cals_mm.config import type_name

__all__ = ["use_glove"]


def use_glove(cfg: Config, file: str) -> None:
    """Add the hook that reads the vectors, and freeze them as in the paper.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config's model is not a text classifier.
    """
    if not os.path.isfile(os.path.expanduser(file)):
        raise FileNotFoundError(f"--glove {file!r} does not exist; give a text file of GloVe")
    if type_name(cfg.model) != "TextClassifier":
        raise ValueError(f"--glove is for a TextClassifier, not for {type_name(cfg.model)!r}")
    cfg.model.backbone.frozen_embeddings = True
    cfg.custom_hooks = [
        *(cfg.get("custom_hooks") or []),
        {"type": "GloVeHook", "file": os.path.abspath(os.path.expanduser(file))},
    ]
