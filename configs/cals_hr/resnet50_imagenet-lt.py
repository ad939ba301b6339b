# ResNet-50 on ImageNet-LT, CALS by the heuristic rule.
_base_ = "../cals/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
