# DeepLabV3 on 80 images of CamVid, CALS.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True, type="CALSLoss", num_classes=11, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
