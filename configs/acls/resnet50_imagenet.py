# ResNet-50 on ImageNet, ACLS.
_base_ = "../ce/resnet50_imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="ACLSLoss", margin=10.0, weight=0.1)))
