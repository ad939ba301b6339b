# ResNet-18 on CIFAR-10, or on ten folders of 32x32 images, cross entropy.
_base_ = [
    "../_base_/models/resnet18_cifar.py",
    "../_base_/datasets/cifar10.py",
    "../_base_/schedules/cifar_200e.py",
    "../_base_/default_runtime_cls.py",
]
method_defaults = dict(margin=5.0)
