"""What mmsegmentation and mmpretrain do differently, in one place."""

from .keep_logits import keep_logits
from .logits import FIELD, logits_and_target, predicted_logits
from .models import ignored_label, unwrap
from .sampling import is_repeated

__all__ = [
    "FIELD",
    "ignored_label",
    "is_repeated",
    "keep_logits",
    "logits_and_target",
    "predicted_logits",
    "unwrap",
]
