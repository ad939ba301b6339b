# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, CALS.
_base_ = "../ce/deeplabv3_cityscapes.py"
model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True, type="CALSLoss", num_classes=19, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
