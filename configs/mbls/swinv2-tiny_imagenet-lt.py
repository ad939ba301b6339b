# Swin V2, tiny, on ImageNet-LT at 256 px, margin-based label smoothing.
_base_ = "../ce/swinv2-tiny_imagenet-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MbLSLoss", margin=10.0, weight=0.1)))
