# ResNet-32 on CIFAR-100 with a long tail, CALS with an adaptive margin.
_base_ = "../cals/resnet32_cifar100-lt.py"
model = dict(head=dict(loss=dict(margin=10.0, adaptive_margin=dict())))
