# ResNet-32 on CIFAR-100 with a long tail, label smoothing.
_base_ = "../ce/resnet32_cifar100-lt.py"
model = dict(
    head=dict(loss=dict(_delete_=True, type="SmoothedCrossEntropyLoss", label_smoothing=0.05))
)
