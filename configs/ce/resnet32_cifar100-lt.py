# ResNet-32 on CIFAR-100 with a long tail, cross entropy.
_base_ = [
    "../_base_/models/resnet32_cifar.py",
    "../_base_/datasets/cifar100-lt.py",
    "../_base_/schedules/cifar_200e.py",
    "../_base_/default_runtime_cls.py",
]
custom_hooks = [*_base_.custom_hooks, dict(type="ClassCountsHook")]
optim_wrapper = dict(optimizer=dict(weight_decay=2e-4))
method_defaults = dict(margin=10.0)
