# ResNet-32 on CIFAR-100 with a long tail, CALS by the heuristic rule.
_base_ = "../cals/resnet32_cifar100-lt.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
