# ResNet-50 on Tiny-ImageNet, MMCE.
_base_ = "../ce/resnet50_tiny-imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MMCELoss", weight=2.0)))
