# ResNet-50 on Tiny-ImageNet, margin-based label smoothing.
_base_ = "../ce/resnet50_tiny-imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MbLSLoss", margin=10.0, weight=0.1)))
