# Swin V2, tiny, on ImageNet at 256 px, CALS with an adaptive margin.
_base_ = "../cals/swinv2-tiny_imagenet.py"
model = dict(head=dict(loss=dict(margin=10.0, adaptive_margin=dict())))
