# A small ResNet on scikit-learn's digits with a long tail, CALS with multipliers of each sample.
_base_ = "../ce/resnet_digits-lt.py"
model = dict(
    head=dict(
        loss=dict(_delete_=True, type="SampleCALSLoss", num_classes=10, num_samples=231, margin=8.0)
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="SampleMultiplierHook")]
