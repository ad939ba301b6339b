# DeepLabV3 on all of CamVid's fit images, AdaFocal.
_base_ = "../ce/deeplabv3_camvid.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
