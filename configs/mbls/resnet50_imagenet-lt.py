# ResNet-50 on ImageNet-LT, margin-based label smoothing.
_base_ = "../ce/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MbLSLoss", margin=10.0, weight=0.1)))
