# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, entropy penalty.
_base_ = "../ce/deeplabv3_cityscapes.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="EntropyPenaltyLoss", weight=0.1))
)
