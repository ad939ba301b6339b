# DeepLabV3, ResNet-50, 512x512 crops of PASCAL VOC 2012, class- and region-adaptive CALS.
_base_ = "../ce/deeplabv3_voc12.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="CRaCLoss", num_classes=21, margin=10.0))
)
custom_hooks = [dict(type="RandomStateHook"), dict(type="CALSMultiplierHook")]
