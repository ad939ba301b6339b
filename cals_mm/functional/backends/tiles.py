"""Views of a few samples or pixels each, small enough for the cache."""

from __future__ import annotations

from torch import Tensor

__all__ = ["dense", "has_class_rows", "split"]

TILE = 1 << 17
"""Elements of a tile: four float32 buffers of this size fit into the cache, and each operation
takes several times as long as its call."""

SMALL = 1 << 18
"""Up to this many elements form one tile, as waking threads would take longer than they save."""

DEVICE_ELEMENTS = 1 << 24
"""Elements of a tile on an accelerator, where every operation is a kernel launch."""


def has_class_rows(logits: Tensor) -> bool:
    """Whether the classes of a sample are contiguous: (N, K), or channels last."""
    return logits.movedim(1, -1).is_contiguous()


def dense(logits: Tensor) -> Tensor:
    """The logits themselves if their layout can be tiled, else a contiguous copy."""
    tileable = logits.is_contiguous() or has_class_rows(logits)
    return logits if tileable else logits.contiguous()


def split(part: Tensor, logits: Tensor) -> list[Tensor]:
    """Split into tiles (B, C, P), or (B, C) if the classes of a sample are contiguous.

    Args:
        part: (N, C, ...) like the logits, C = K, or (N, ...) like the labels, C = 1.
        logits: (N, K, ...), dense; its shape and layout determine the tiles.

    Returns:
        Views of ``part``, if it is contiguous or has the layout of ``logits``.
    """
    limit = TILE if logits.device.type == "cpu" else DEVICE_ELEMENTS
    if logits.numel() <= SMALL:
        limit = max(limit, SMALL)
    num_classes = logits.shape[1]
    channels = num_classes if part.ndim == logits.ndim else 1
    if has_class_rows(logits):
        rows = part.movedim(1, -1) if part.ndim == logits.ndim else part
        return list(rows.reshape(-1, channels).split(max(1, limit // num_classes)))
    images = part.reshape(logits.shape[0], channels, -1)
    pixels = images.shape[2]
    fitting = max(16, limit // num_classes // 16 * 16)
    if pixels <= fitting:
        return list(images.split(max(1, limit // (num_classes * pixels))))
    count = -(-pixels // fitting)
    size = -(-pixels // (16 * count)) * 16  # equal sizes, at vector boundaries
    return [tile for image in images.split(1) for tile in image.split(size, 2)]
