"""Start the training from GloVe's word vectors."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cals_mm.frameworks import unwrap

from .glove import read_glove
from .vocabulary import SPECIAL, Vocabulary

__all__ = ["GloVeHook"]


@HOOKS.register_module()
class GloVeHook(Hook):
    """Load GloVe's vectors into the model at the start of training; other words get zeros.

    A resumed run has them in its checkpoint and does not read the file. Set
    ``model.backbone.frozen_embeddings=True`` to keep them fixed, as in the paper; ``--glove FILE``
    of ``tools/train.py`` does both.

    Args:
        file: GloVe text file, e.g. ``glove.6B.100d.txt``.

    Raises:
        FileNotFoundError: At the start of training, if the file does not exist.
        ValueError: If the file is malformed or does not fit the model.
    """

    # Before any hook copies the weights.
    priority = "VERY_HIGH"

    def __init__(self, file: str) -> None:
        self.file = file

    def before_train(self, runner: Runner) -> None:
        """Read the vectors of the training set's vocabulary."""
        if runner._resume:
            return
        embedding = unwrap(runner.model).backbone.embedding
        words = runner.train_dataloader.dataset.metainfo["vocabulary"].split("\n")
        vectors = read_glove(self.file, Vocabulary(words), embedding.embedding_dim)
        with torch.no_grad():
            embedding.weight[SPECIAL:].zero_()
            for index, vector in vectors.items():
                embedding.weight[index] = torch.from_numpy(vector)
        runner.logger.info(
            f"{self.file}: vectors for {len(vectors)} of {len(words)} words "
            f"({100 * len(vectors) / len(words):.1f} %), zeros for the others"
        )
