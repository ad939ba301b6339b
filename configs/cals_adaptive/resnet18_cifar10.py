# ResNet-18 on CIFAR-10, or on ten folders of 32x32 images, CALS with an adaptive margin.
_base_ = "../cals/resnet18_cifar10.py"
model = dict(head=dict(loss=dict(margin=10.0, adaptive_margin=dict())))
