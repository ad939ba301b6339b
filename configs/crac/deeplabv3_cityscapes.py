# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, class- and region-adaptive CALS.
_base_ = "../ce/deeplabv3_cityscapes.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="CRaCLoss", num_classes=19, margin=10.0))
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
