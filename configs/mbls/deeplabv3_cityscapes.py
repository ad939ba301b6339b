# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, margin-based label smoothing.
_base_ = "../ce/deeplabv3_cityscapes.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="MbLSLoss", margin=10.0, weight=0.1))
)
