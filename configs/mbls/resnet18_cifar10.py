# ResNet-18 on CIFAR-10, or on ten folders of 32x32 images, margin-based label smoothing.
_base_ = "../ce/resnet18_cifar10.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MbLSLoss", margin=5.0, weight=0.1)))
