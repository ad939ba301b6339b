# ResNet-50 on ImageNet, cross entropy.
_base_ = [
    "../_base_/models/resnet50.py",
    "../_base_/datasets/imagenet.py",
    "../_base_/schedules/imagenet_200e.py",
    "../_base_/default_runtime_cls.py",
]
method_defaults = dict(margin=10.0)
