# ResNet-18 on CIFAR-10, or on ten folders of 32x32 images, CALS.
_base_ = "../ce/resnet18_cifar10.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=10, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
