"""Text classification with the same losses, hooks and metrics.

It needs torch, MMEngine and scikit-learn. To register its components, a config lists
``cals_mm.text`` in ``custom_imports``.
"""

from .backbones import GlobalPoolingCNN, MeanPoolingMLP
from .classifier import TextClassifier, TextClsHead, TextDataSample
from .collate import pad_texts
from .dataset import TextDataset
from .docstrings import StdlibDocstrings
from .glove_hook import GloVeHook
from .newsgroups import Newsgroups
from .sampler import LengthGroupedSampler
from .vocabulary import Vocabulary

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
