"""Parts of published classifiers that mmpretrain lacks; configs use their full path."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS
from mmpretrain.models.backbones.resnet import BasicBlock
from mmpretrain.models.backbones.resnet_cifar import ResNet_CIFAR
from torch import Tensor, nn

__all__ = ["GridAveragePooling", "ThreeStageResNet"]


@MODELS.register_module()
class ThreeStageResNet(ResNet_CIFAR):
    """The ResNets made for CIFAR: 6 n + 2 layers in three stages of 16, 32 and 64 channels.

    Args:
        depth: 20, 32, 44, 56 or 110.
        base_channels: Channels of stem and first stage.
        **kwargs: Arguments of mmpretrain's ``ResNet_CIFAR``.

    Reference:
        He et al., Deep Residual Learning for Image Recognition, CVPR 2016, Section 4.2.
    """

    arch_settings = {6 * n + 2: (BasicBlock, (n, n, n)) for n in (3, 5, 7, 9, 18)}

    def __init__(self, depth: int, base_channels: int = 16, **kwargs: Any) -> None:
        super().__init__(
            depth,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
            stem_channels=base_channels,
            base_channels=base_channels,
            **kwargs,
        )


@MODELS.register_module()
class GridAveragePooling(nn.Module):
    """Average pooling to a small grid, flattened: C x size x size features for the classifier.

    Args:
        size: Height and width of the grid.
    """

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(size)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Pool each stage (N, C, H, W) to (N, C x size x size)."""
        return tuple(self.pool(feature).flatten(1) for feature in features)
