# ResNet-32 on CIFAR-100 with a long tail, CALS.
_base_ = "../ce/resnet32_cifar100-lt.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=100, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
