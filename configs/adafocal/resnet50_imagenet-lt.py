# ResNet-50 on ImageNet-LT, AdaFocal.
_base_ = "../ce/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
