# A small DeepLabV3 on synthetic street scenes, AdaFocal.
_base_ = "../ce/deeplabv3_demo.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
