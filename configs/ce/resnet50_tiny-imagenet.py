# ResNet-50 on Tiny-ImageNet, cross entropy.
_base_ = [
    "../_base_/models/resnet50_tiny-imagenet.py",
    "../_base_/datasets/tiny-imagenet.py",
    "../_base_/schedules/tiny-imagenet_100e.py",
    "../_base_/default_runtime_cls.py",
]
method_defaults = dict(margin=10.0)
