# ResNet-50 on Tiny-ImageNet, pairwise constraints.
_base_ = "../ce/resnet50_tiny-imagenet.py"
model = dict(head=dict(loss=dict(_delete_=True, type="PairwiseConstraintLoss")))
