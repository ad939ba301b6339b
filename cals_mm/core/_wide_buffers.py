"""Buffers that keep their precision when a model is cast to half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["WideBuffers", "state_dtype", "widened"]


def state_dtype() -> torch.dtype:
    """The default dtype of torch, but at least float32."""
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


def widened(tensor: Tensor) -> Tensor:
    """The tensor in at least float32; integers unchanged."""
    if not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


class WideBuffers(nn.Module):
    """A module whose floating-point buffers stay float32 or wider, like the state of an optimizer.

    Small updates accumulate during training, and in bfloat16 512 + 1 is 512. So neither ``half()``,
    ``bfloat16()`` and ``to(dtype)`` of an enclosing model, nor torch's default dtype, nor
    ``load_state_dict(..., assign=True)`` narrows the buffers. They move between devices like any
    buffer.

    Example:
        >>> state = WideBuffers()
        >>> state.register_buffer("value", torch.tensor(1.0))
        >>> nn.Sequential(state).half()[0].value.dtype
        torch.float32
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, old in before.items():
            new = self._buffers[name]
            if old is not None and new is not None and widened(new) is not new:
                self._buffers[name] = widened(old).to(new.device)
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._widen_own_()

    def widen_(self) -> None:
        """Widen buffers that were narrowed in place, as FSDP does."""
        for module in self.modules():
            if isinstance(module, WideBuffers):
                module._widen_own_()

    def _widen_own_(self) -> None:
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = widened(buffer)
