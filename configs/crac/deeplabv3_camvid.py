# DeepLabV3 on all of CamVid's fit images, class- and region-adaptive CALS.
_base_ = "../ce/deeplabv3_camvid.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="CRaCLoss", num_classes=11, margin=10.0))
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
