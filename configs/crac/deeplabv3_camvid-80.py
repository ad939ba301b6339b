# DeepLabV3 on 80 images of CamVid, class- and region-adaptive CALS.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="CRaCLoss", num_classes=11, margin=7.0))
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
