# DeepLabV3, ResNet-50, 512x512 crops of PASCAL VOC 2012, CALS.
_base_ = "../ce/deeplabv3_voc12.py"
model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True, type="CALSLoss", num_classes=21, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
