"""Export a trained model to ONNX, with what surrounds the network in this project."""

from __future__ import annotations

import importlib.util
import inspect
import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cals_mm import files

__all__ = ["Deployed", "export_onnx"]

_TOLERANCE = 1e-4
"""Largest accepted difference between the file and the model, of probabilities or relative."""


class Deployed(nn.Module):
    """A segmentor or classifier from pixels to probabilities, in tensors only.

    Args:
        model: The model, unwrapped.
        logits: Whether to return logits instead of probabilities.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, logits: bool = False) -> None:
        super().__init__()
        preprocessor: Any = model.data_preprocessor
        self.model = model
        self.logits = logits
        self.align_corners = bool(getattr(model, "align_corners", False))
        # By the names that MMEngine's and mmpretrain's preprocessors have for it.
        self.swap = any(getattr(preprocessor, n, False) for n in ("_channel_conversion", "to_rgb"))
        normalised = getattr(preprocessor, "_enable_normalize", False)
        mean, std = (preprocessor.mean, preprocessor.std) if normalised else (0.0, 1.0)
        self.register_buffer("mean", torch.as_tensor(mean).clone(), persistent=False)
        self.register_buffer("std", torch.as_tensor(std).clone(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Predict images.

        Args:
            image: (N, C, H, W) float32 in 0..255, channels as the config's pipeline gives them: BGR
                for files.

        Returns:
            (N, K), or (N, K, H, W) of a segmentor, float32.
        """
        image = image.flip(1) if self.swap and image.shape[1] == 3 else image
        scores: Tensor = self.model((image - self.mean) / self.std, mode="tensor")
        if scores.ndim == 4:
            scores = F.interpolate(
                scores, image.shape[2:], mode="bilinear", align_corners=self.align_corners
            )
        return scores if self.logits else scores.softmax(1)


@torch.no_grad()
def export_onnx(
    model: nn.Module, path: str, size: Sequence[int], *, logits: bool = False, channels: int = 3
) -> float:
    """Write a model to an ONNX file, and compare the file in onnxruntime with the model.

    The file has one input ``image`` and one output ``probabilities`` (or ``logits``), as of
    :class:`Deployed`. The number of images may change, height and width may not.

    Args:
        model: A trained segmentor or classifier, unwrapped; moved to the CPU and set to evaluation.
        path: The new file.
        size: Height and width of the images in pixels.
        logits: Whether the output is logits.
        channels: Number of channels of an image.

    Returns:
        The largest difference of the output, divided by the largest output where that exceeds 1.

    Raises:
        ModuleNotFoundError: If onnx, onnxscript or onnxruntime is not installed.
        ValueError: If torch is too old, the file exists, the model's preprocessor would pad images
            of this size, or the difference exceeds 1e-4.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(
                f"ONNX needs {name}: pip install 'cals-mm[export]'", name=name
            )
    if "dynamo" not in inspect.signature(torch.onnx.export).parameters:
        raise ValueError(
            f"torch {torch.__version__} has no exporter to ONNX by torch.export; "
            "install torch 2.5 or newer"
        )
    import onnxruntime

    if os.path.lexists(path):
        raise ValueError(f"{path!r} exists and is not overwritten; name another file")
    _refuse_padding(model, size)
    deployed = Deployed(model, logits).cpu().eval()
    generator = torch.Generator().manual_seed(0)
    image = 255 * torch.rand(2, channels, *size, generator=generator)
    output = "logits" if logits else "probabilities"
    with redirect_stdout(io.StringIO()):  # the steps of the export
        program: Any = torch.onnx.export(
            deployed,
            (image,),
            dynamo=True,
            dynamic_shapes={"image": {0: torch.export.Dim("number")}},
            input_names=["image"],
            output_names=[output],
        )
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    difference = 0.0
    for batch in (image, image[:1].repeat(3, 1, 1, 1).flip(3)):
        expected = deployed(batch)
        (found,) = session.run(None, {"image": batch.numpy()})
        largest = max(1.0, float(expected.abs().max()))
        difference = max(
            difference, float((torch.from_numpy(found) - expected).abs().max()) / largest
        )
    if not difference <= _TOLERANCE:
        raise ValueError(
            f"the ONNX file differs from the model by {difference:.1e}, more than "
            f"{_TOLERANCE:.0e}; nothing was written"
        )
    files.write_bytes(path, content, overwrite=False)
    return difference


def _refuse_padding(model: nn.Module, size: Sequence[int]) -> None:
    preprocessor: Any = model.data_preprocessor
    test_cfg = getattr(preprocessor, "test_cfg", None) or {}
    divisor = int(test_cfg.get("size_divisor") or getattr(preprocessor, "pad_size_divisor", 1) or 1)
    if size[0] % divisor or size[1] % divisor or test_cfg.get("size"):
        raise ValueError(
            f"the model pads images of {size[0]} x {size[1]} pixels, which the ONNX file would "
            f"not; give multiples of {divisor}, or unset the size in model.data_preprocessor"
        )
