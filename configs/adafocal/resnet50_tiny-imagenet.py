# ResNet-50 on Tiny-ImageNet, AdaFocal.
_base_ = "../ce/resnet50_tiny-imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
