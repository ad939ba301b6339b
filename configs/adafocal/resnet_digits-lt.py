# A small ResNet on scikit-learn's digits with a long tail, AdaFocal.
_base_ = "../ce/resnet_digits-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
