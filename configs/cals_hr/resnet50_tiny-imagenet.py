# ResNet-50 on Tiny-ImageNet, CALS by the heuristic rule.
_base_ = "../cals/resnet50_tiny-imagenet.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
