# ResNet-50 on ImageNet-LT, pairwise constraints.
_base_ = "../ce/resnet50_imagenet-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="PairwiseConstraintLoss")))
