# ResNet-50 on ImageNet-LT, label smoothing.
_base_ = "../ce/resnet50_imagenet-lt.py"
model = dict(
    head=dict(loss=dict(_delete_=True, type="SmoothedCrossEntropyLoss", label_smoothing=0.05))
)
