"""Register the segmentation data sets; configs name this module in ``custom_imports``."""

from .camvid import CamVid11
from .cityscapes import CityscapesCities
from .demo import DemoCityscapes
from .voc12 import PascalVOC12Fold

__all__ = ["CamVid11", "CityscapesCities", "DemoCityscapes", "PascalVOC12Fold"]
