# DeepLabV3 on all of CamVid's fit images, CALS.
_base_ = "../ce/deeplabv3_camvid.py"
model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True, type="CALSLoss", num_classes=11, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
