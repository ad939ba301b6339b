# Swin V2, tiny, on ImageNet at 256 px, cross entropy.
_base_ = [
    "../_base_/models/swinv2-tiny.py",
    "../_base_/datasets/imagenet_256.py",
    "../_base_/schedules/imagenet_200e.py",
    "../_base_/default_runtime_cls.py",
]
method_defaults = dict(margin=10.0)
