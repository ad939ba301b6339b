"""Networks from word ids to text features that do not depend on padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .vocabulary import PADDING, SPECIAL

__all__ = ["GlobalPoolingCNN", "MeanPoolingMLP"]


class _WordEmbedding(nn.Embedding):
    """Word vectors.

    Args:
        vocabulary_size: Largest size of the data set's vocabulary.
        dim: Size of each vector.
        frozen: Whether the vectors are not trained, like those of GloVe in the paper.
    """

    def __init__(self, vocabulary_size: int, dim: int, frozen: bool) -> None:
        super().__init__(vocabulary_size + SPECIAL, dim, padding_idx=PADDING)
        nn.init.normal_(self.weight, std=0.25)
        with torch.no_grad():
            self.weight[PADDING].zero_()
        self.weight.requires_grad_(not frozen)

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (N, L, dim) of ids (N, L).

        Raises:
            ValueError: If an id has no vector. On a GPU, CUDA aborts instead.
        """
        try:
            return super().forward(ids)
        except IndexError:
            raise ValueError(
                f"the data set has a word with id {int(ids.max())}, the model vectors for ids up "
                f"to {self.num_embeddings - 1}: set model.backbone.vocabulary_size to the data "
                "sets' vocabulary_size"
            ) from None


def _initialise(module: nn.Module) -> None:
    """Apply He initialisation, as with PyTorch's default the signal shrinks with every layer."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv1d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


class GlobalPoolingCNN(nn.Module):
    """Three convolutions over the words, global max-pooling, and a fully connected layer.

    Convolutions of width 5, a max-pool of width 5 and stride 1 after the first two, a global
    max-pool, a fully connected layer; ReLU after each. Positions beyond the end of a text are zero
    at every stage, like those beyond the longest text, so padding does not change the features. An
    empty text has the features of an all-zero input.

    Args:
        vocabulary_size: Largest size of the data set's vocabulary.
        embedding_dim: Numbers of a word's vector.
        channels: Channels of all layers, and number of features.
        frozen_embeddings: Keep the word vectors as they are.

    Reference:
        Setting of Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088),
        with frozen vectors of GloVe.

    Example:
        >>> GlobalPoolingCNN(100, channels=8)(torch.tensor([[5, 7, 0], [3, 2, 9]])).shape
        torch.Size([2, 8])
    """

    KERNEL = 5

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int = 100,
        channels: int = 128,
        frozen_embeddings: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = _WordEmbedding(vocabulary_size, embedding_dim, frozen_embeddings)
        self.convs = nn.ModuleList(
            nn.Conv1d(inputs, channels, self.KERNEL, padding=self.KERNEL // 2)
            for inputs in (embedding_dim, channels, channels)
        )
        self.fc = nn.Linear(channels, channels)
        _initialise(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features (N, channels) of word ids (N, L) int, ``PADDING`` after the end of a text."""
        mask = (inputs != PADDING).unsqueeze(1)
        hidden = self.embedding(inputs).transpose(1, 2)
        for number, conv in enumerate(self.convs, 1):
            hidden = F.relu(conv(hidden)) * mask
            if number < len(self.convs):
                hidden = F.max_pool1d(hidden, self.KERNEL, 1, self.KERNEL // 2) * mask
        # After a ReLU, the zeros beyond the end never exceed a value within the text.
        return F.relu(self.fc(hidden.amax(2)))


class MeanPoolingMLP(nn.Module):
    """The mean of the word vectors and two fully connected layers; many times faster than the CNN.

    Args:
        vocabulary_size: Largest size of the data set's vocabulary.
        embedding_dim: Numbers of a word's vector.
        channels: Units of the layers, and number of features.
        frozen_embeddings: Keep the word vectors as they are.

    Example:
        >>> MeanPoolingMLP(100, channels=8)(torch.tensor([[5, 7, 0], [3, 2, 9]])).shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int = 100,
        channels: int = 128,
        frozen_embeddings: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = _WordEmbedding(vocabulary_size, embedding_dim, frozen_embeddings)
        self.layers = nn.Sequential(
            nn.Linear(embedding_dim, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU()
        )
        _initialise(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features (N, channels) of word ids (N, L) int, ``PADDING`` after the end of a text."""
        # The vector of PADDING is zero.
        total = self.embedding(inputs).sum(1)
        words = (inputs != PADDING).sum(1, keepdim=True).clamp(min=1)
        result: Tensor = self.layers(total / words)
        return result
