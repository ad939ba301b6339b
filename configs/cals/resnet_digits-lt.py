# A small ResNet on scikit-learn's digits with a long tail, CALS.
_base_ = "../ce/resnet_digits-lt.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=10, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
