"""Register the classification data sets; configs name this module in ``custom_imports``."""

from .cifar import CIFAR10Split, CIFAR100Split
from .digits import DigitsLT
from .imagenet import ImageNetLT, ImageNetSplit, TinyImageNetSplit
from .long_tail import LongTailDataset

__all__ = [
    "CIFAR10Split",
    "CIFAR100Split",
    "DigitsLT",
    "ImageNetLT",
    "ImageNetSplit",
    "LongTailDataset",
    "TinyImageNetSplit",
]
