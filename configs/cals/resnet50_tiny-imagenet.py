# ResNet-50 on Tiny-ImageNet, CALS.
_base_ = "../ce/resnet50_tiny-imagenet.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=200, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
