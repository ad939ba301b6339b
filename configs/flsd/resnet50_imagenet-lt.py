# ResNet-50 on ImageNet-LT, sample-dependent focal loss, FLSD-53.
_base_ = "../ce/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="FLSDLoss")))
