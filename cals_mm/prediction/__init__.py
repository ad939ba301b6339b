"""Trained models on files without labels: images of any size, and texts."""

from .ahead import ahead
from .classes import Classes, find_classes
from .image_model import Failure, ImageModel, Loaded, Predicted
from .inputs import IMAGES, TEXTS, Input, find_inputs, natural_key
from .line_file import LineFile
from .map_files import REJECTED, MapFiles, Maps
from .onnx_file import Deployed, export_onnx
from .text_model import predict_texts

__all__ = [
    "IMAGES",
    "REJECTED",
    "TEXTS",
    "Classes",
    "Deployed",
    "Failure",
    "ImageModel",
    "Input",
    "LineFile",
    "Loaded",
    "MapFiles",
    "Maps",
    "Predicted",
    "ahead",
    "export_onnx",
    "find_classes",
    "find_inputs",
    "natural_key",
    "predict_texts",
]
