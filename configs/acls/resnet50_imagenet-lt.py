# ResNet-50 on ImageNet-LT, ACLS.
_base_ = "../ce/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="ACLSLoss", margin=10.0, weight=0.1)))
