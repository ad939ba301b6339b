# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, ACLS.
_base_ = "../ce/deeplabv3_cityscapes.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="ACLSLoss", margin=10.0, weight=0.1))
)
