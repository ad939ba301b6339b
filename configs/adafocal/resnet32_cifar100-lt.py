# ResNet-32 on CIFAR-100 with a long tail, AdaFocal.
_base_ = "../ce/resnet32_cifar100-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
