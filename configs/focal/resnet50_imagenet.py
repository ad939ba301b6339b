# ResNet-50 on ImageNet, focal loss.
_base_ = "../ce/resnet50_imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="SoftmaxFocalLoss", gamma=3.0)))
