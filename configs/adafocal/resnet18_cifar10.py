# ResNet-18 on CIFAR-10, or on ten folders of 32x32 images, AdaFocal.
_base_ = "../ce/resnet18_cifar10.py"
model = dict(head=dict(loss=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
