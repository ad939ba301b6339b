# ResNet-50 on Tiny-ImageNet, CALS with an adaptive margin.
_base_ = "../cals/resnet50_tiny-imagenet.py"
model = dict(head=dict(loss=dict(margin=10.0, adaptive_margin=dict())))
