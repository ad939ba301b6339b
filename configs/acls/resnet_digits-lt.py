# A small ResNet on scikit-learn's digits with a long tail, ACLS.
_base_ = "../ce/resnet_digits-lt.py"
model = dict(head=dict(loss=dict(_delete_=True, type="ACLSLoss", margin=8.0, weight=0.1)))
