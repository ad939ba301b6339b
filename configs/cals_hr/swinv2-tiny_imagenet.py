# Swin V2, tiny, on ImageNet at 256 px, CALS by the heuristic rule.
_base_ = "../cals/swinv2-tiny_imagenet.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
