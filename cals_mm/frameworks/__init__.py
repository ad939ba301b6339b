"""What mmsegmentation and mmpretrain do each in their own way, told once."""

from .logits import FIELD, keep_logits, logits_and_target

__all__ = ["FIELD", "keep_logits", "logits_and_target"]
