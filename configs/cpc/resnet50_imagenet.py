# ResNet-50 on ImageNet, pairwise constraints.
_base_ = "../ce/resnet50_imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="PairwiseConstraintLoss")))
