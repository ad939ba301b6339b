"""A text classifier for MMEngine's runner."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

__all__ = ["TextClassifier", "TextClsHead", "TextDataSample"]


class TextDataSample(BaseDataElement):
    """Prediction for one text.

    Fields: ``logits`` (K,) floating and, if known, ``gt_label`` () int64; ``sample_idx`` is the
        index of the text in its data set.
    """


@MODELS.register_module()
class TextClsHead(nn.Module):
    """A linear classifier and its loss.

    Args:
        num_classes: K.
        in_channels: Number of features, C.
        loss: Config of a loss ``(logits (N, K), labels (N,)) -> scalar``. None means torch's cross
            entropy.
    """

    def __init__(
        self, num_classes: int, in_channels: int, loss: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.fc = nn.Linear(in_channels, num_classes)
        self.loss_module = None if loss is None else MODELS.build(loss)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, C)."""
        logits: Tensor = self.fc(features)
        return logits

    def loss(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Loss by name; features (N, C), target (N,) int64."""
        logits = self(features)
        if self.loss_module is None:
            return {"loss": F.cross_entropy(logits.float(), target)}
        return {"loss": self.loss_module(logits, target)}


@MODELS.register_module()
class TextClassifier(BaseModel):
    """A text network and a classification head.

    Args:
        backbone: Config of a network from word ids (N, L) to features (N, C).
        head: Config of a :class:`TextClsHead`.
        data_preprocessor: Config of the component that moves a batch to the device. None uses
            MMEngine's.
        init_cfg: As for MMEngine's modules.

    Example:
        >>> import torch
        >>> model = TextClassifier(
        ...     dict(type="MeanPoolingMLP", vocabulary_size=50, channels=8),
        ...     dict(type="TextClsHead", num_classes=3, in_channels=8))
        >>> ids = torch.tensor([[5, 7, 0], [3, 2, 9]])
        >>> model(ids, mode="tensor").shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        head: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)

    def forward(
        self,
        inputs: Tensor,
        gt_label: Tensor | None = None,
        sample_idx: Tensor | None = None,
        mode: str = "tensor",
    ) -> Any:
        """Run the model on a batch of :func:`pad_texts`.

        Args:
            inputs: Word ids (N, L) int, ``PADDING`` after the end of a text.
            gt_label: Labels (N,) int64; required for the loss.
            sample_idx: Indices of the texts, (N,) int64.
            mode: ``'tensor'``: logits (N, K). ``'loss'``: losses by name. ``'predict'``: a
                :class:`TextDataSample` for each text.

        Raises:
            ValueError: If the mode is unknown, or labels are missing for the loss.
        """
        features = self.backbone(inputs)
        if mode == "tensor":
            return self.head(features)
        if mode == "loss":
            if gt_label is None:
                raise ValueError("mode='loss' needs gt_label, the labels of the texts")
            return self.head.loss(features, gt_label)
        if mode != "predict":
            raise ValueError(f"mode is {mode!r}: choose from 'tensor', 'loss', 'predict'")
        samples = []
        numbers = None if sample_idx is None else sample_idx.tolist()
        for row, logits in enumerate(self.head(features)):
            sample = TextDataSample(
                metainfo={} if numbers is None else {"sample_idx": numbers[row]}, logits=logits
            )
            if gt_label is not None:
                sample.set_field(gt_label[row], "gt_label")
            samples.append(sample)
        return samples
