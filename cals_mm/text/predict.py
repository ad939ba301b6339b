"""Classify texts with a checkpoint, which contains config, vocabulary and class names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor

from cals_mm.frameworks.checkpoints import check_checkpoint

from .classifier import TextClassifier
from .collate import pad_texts
from .dataset import EncodedSample
from .vocabulary import Vocabulary

__all__ = ["TextPredictor"]


@dataclass
class TextPredictor:
    """A model together with its vocabulary and class names.

    Attributes:
        model: The model.
        vocabulary: The words it knows.
        max_length: Number of words to read of each text.
        classes: Names of the K classes.

    Example:
        >>> vocabulary = Vocabulary(["the", "shuttle", "reached", "orbit"])
        >>> model = TextClassifier(
        ...     dict(type="MeanPoolingMLP", vocabulary_size=6, channels=8),
        ...     dict(type="TextClsHead", num_classes=3, in_channels=8))
        >>> predictor = TextPredictor(model.eval(), vocabulary, 100, ("autos", "med", "space"))
        >>> predictor(["The shuttle reached its orbit."]).shape
        torch.Size([1, 3])
    """

    model: TextClassifier
    vocabulary: Vocabulary
    max_length: int
    classes: tuple[str, ...]

    @classmethod
    def from_checkpoint(cls, path: str) -> TextPredictor:
        """Build the model of a checkpoint of ``tools/train.py`` and load its weights.

        Args:
            path: The checkpoint, from a source you trust, as it is unpickled.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If it is not the checkpoint of a text classifier.
        """
        check_checkpoint(path)
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location="cpu", logger="silent")
        meta = checkpoint.get("meta", {})
        data = meta.get("dataset_meta") or {}
        if "cfg" not in meta or not {"classes", "vocabulary", "max_length"} <= set(data):
            raise ValueError(
                f"{path!r} is no checkpoint of a text classifier (it lacks vocabulary or config): "
                "give one that tools/train.py wrote"
            )
        cfg = Config.fromstring(meta["cfg"], ".py")
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "mmengine"):
            model = MODELS.build(cfg.model)
        model.load_state_dict(checkpoint["state_dict"])
        vocabulary = Vocabulary(data["vocabulary"].split("\n"))
        return cls(model.eval(), vocabulary, data["max_length"], tuple(data["classes"]))

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Probabilities (N, K) of N texts, float32."""
        return self.logits(texts).softmax(1)

    @torch.no_grad()
    def logits(self, texts: Sequence[str]) -> Tensor:
        """Logits (N, K) of N texts, float32."""
        samples = [
            EncodedSample(self.vocabulary.encode(text, self.max_length), 0, index)
            for index, text in enumerate(texts)
        ]
        result: Tensor = self.model(pad_texts(samples)["inputs"], mode="tensor").float()
        return result
