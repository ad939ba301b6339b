"""Text classification with the same losses, hooks and metrics.

It needs torch, MMEngine and scikit-learn; networks and vocabulary need torch alone. To register its
components, a config lists ``cals_mm.text`` in ``custom_imports``.
"""

from typing import Any

from cals_mm._mmengine import HAS_MMENGINE, require_mmengine

from .backbones import GlobalPoolingCNN, MeanPoolingMLP
from .vocabulary import Vocabulary

if HAS_MMENGINE:
    from mmengine.registry import MODELS

    from .classifier import TextClassifier, TextClsHead, TextDataSample
    from .collate import pad_texts
    from .dataset import TextDataset
    from .docstrings import StdlibDocstrings
    from .glove_hook import GloVeHook
    from .newsgroups import Newsgroups
    from .sampler import LengthGroupedSampler

    MODELS.register_module(module=GlobalPoolingCNN)
    MODELS.register_module(module=MeanPoolingMLP)

__all__ = [
    "GloVeHook",
    "GlobalPoolingCNN",
    "LengthGroupedSampler",
    "MeanPoolingMLP",
    "Newsgroups",
    "StdlibDocstrings",
    "TextClassifier",
    "TextClsHead",
    "TextDataSample",
    "TextDataset",
    "Vocabulary",
    "pad_texts",
]


def __getattr__(name: str) -> Any:
    """Say what a public name lacks where MMEngine is not installed."""
    if name in __all__:
        require_mmengine(f"cals_mm.text.{name}")
    raise AttributeError(f"module 'cals_mm.text' has no attribute {name!r}")
