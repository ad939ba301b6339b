# ResNet-50 on ImageNet, CALS by the heuristic rule.
_base_ = "../cals/resnet50_imagenet.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
