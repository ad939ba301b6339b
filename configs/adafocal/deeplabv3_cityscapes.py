# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, AdaFocal.
_base_ = "../ce/deeplabv3_cityscapes.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
