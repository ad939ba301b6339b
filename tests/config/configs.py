"""Configs of the smallest models, to be changed."""

from mmengine.config import Config


def tiny_classifier(**head) -> Config:
    head = {"type": "LinearClsHead", "num_classes": 4, "in_channels": 8, **head}
    return Config(
        {
            "default_scope": "mmpretrain",
            "model": {"type": "ImageClassifier", "head": head},
            "val_dataloader": {"batch_size": 1},
            "val_evaluator": {"type": "Accuracy"},
        }
    )


def tiny_segmentor(**head) -> Config:
    head = {"type": "FCNHead", "num_classes": 4, "in_channels": 8, "channels": 4, **head}
    return Config(
        {
            "default_scope": "mmseg",
            "model": {"type": "EncoderDecoder", "decode_head": head},
            "val_dataloader": {"batch_size": 1},
            "val_evaluator": {"type": "IoUMetric"},
        }
    )
