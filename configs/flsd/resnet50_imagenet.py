# ResNet-50 on ImageNet, sample-dependent focal loss, FLSD-53.
_base_ = "../ce/resnet50_imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="FLSDLoss")))
