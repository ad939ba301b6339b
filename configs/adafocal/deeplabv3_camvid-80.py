# DeepLabV3 on 80 images of CamVid, AdaFocal.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
