# Swin V2, tiny, on ImageNet at 256 px, MMCE.
_base_ = "../ce/swinv2-tiny_imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MMCELoss", weight=2.0)))
