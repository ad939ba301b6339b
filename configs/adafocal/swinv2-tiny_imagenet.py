# Swin V2, tiny, on ImageNet at 256 px, AdaFocal.
_base_ = "../ce/swinv2-tiny_imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
