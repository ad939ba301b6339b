# ResNet-18 on CIFAR-10, or on ten folders of 32x32 images, MMCE.
_base_ = "../ce/resnet18_cifar10.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MMCELoss", weight=2.0)))
