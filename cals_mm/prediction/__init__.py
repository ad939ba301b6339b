"""Trained models on files without labels: images of any size, and texts."""

from .ahead import ahead
from .classes import Classes, find_classes
from .image_model import Failure, ImageModel, Loaded, Predicted
from .inputs import IMAGES, TEXTS, Input, find_inputs, natural_key
from .line_file import LineFile
from .map_files import REJECTED, MapFiles, Maps
from .text_model import predict_texts

__all__ = [
    "IMAGES",
    "REJECTED",
    "TEXTS",
    "Classes",
    "Failure",
    "ImageModel",
    "Input",
    "LineFile",
    "Loaded",
    "MapFiles",
    "Maps",
    "Predicted",
    "ahead",
    "find_classes",
    "find_inputs",
    "natural_key",
    "predict_texts",
]
