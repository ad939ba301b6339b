"""Text classification: the same loss, multipliers and metrics outside vision.

Needs torch, MMEngine and scikit-learn. A config names ``cals_mm.text`` in its ``custom_imports``
to register what is here.
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
