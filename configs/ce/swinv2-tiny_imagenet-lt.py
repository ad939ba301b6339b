# Swin V2, tiny, on ImageNet-LT at 256 px, cross entropy.
_base_ = [
    "../_base_/models/swinv2-tiny.py",
    "../_base_/datasets/imagenet-lt_256.py",
    "../_base_/schedules/imagenet_200e.py",
    "../_base_/default_runtime_cls.py",
]
custom_hooks = [*_base_.custom_hooks, dict(type="ClassCountsHook")]
method_defaults = dict(margin=10.0)
