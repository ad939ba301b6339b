# ResNet-50 on ImageNet-LT, CALS with an adaptive margin.
_base_ = "../cals/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(margin=10.0, adaptive_margin=dict())))
