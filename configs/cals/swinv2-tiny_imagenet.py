# Swin V2, tiny, on ImageNet at 256 px, CALS.
_base_ = "../ce/swinv2-tiny_imagenet.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=1000, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
