# ResNet-50 on ImageNet-LT, cross entropy.
_base_ = [
    "../_base_/models/resnet50.py",
    "../_base_/datasets/imagenet-lt.py",
    "../_base_/schedules/imagenet_200e.py",
    "../_base_/default_runtime_cls.py",
]
custom_hooks = [*_base_.custom_hooks, dict(type="ClassCountsHook")]
method_defaults = dict(margin=10.0)
