# Swin V2, tiny, on ImageNet-LT at 256 px, CALS by the heuristic rule.
_base_ = "../cals/swinv2-tiny_imagenet-lt.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
