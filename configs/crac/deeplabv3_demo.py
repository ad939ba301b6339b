# A small DeepLabV3 on synthetic street scenes, class- and region-adaptive CALS.
_base_ = "../ce/deeplabv3_demo.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="CRaCLoss", num_classes=19, margin=7.0))
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
