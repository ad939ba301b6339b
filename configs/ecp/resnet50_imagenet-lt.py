# ResNet-50 on ImageNet-LT, entropy penalty.
_base_ = "../ce/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="EntropyPenaltyLoss", weight=0.1)))
