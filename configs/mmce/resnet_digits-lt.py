# A small ResNet on scikit-learn's digits with a long tail, MMCE.
_base_ = "../ce/resnet_digits-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MMCELoss", weight=2.0)))
