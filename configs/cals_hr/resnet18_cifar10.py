# ResNet-18 on CIFAR-10, or on ten folders of 32x32 images, CALS by the heuristic rule.
_base_ = "../cals/resnet18_cifar10.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
