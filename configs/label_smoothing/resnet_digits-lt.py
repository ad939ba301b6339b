# A small ResNet on scikit-learn's digits with a long tail, label smoothing.
_base_ = "../ce/resnet_digits-lt.py"
model = dict(
    head=dict(loss=dict(_delete_=True, type="SmoothedCrossEntropyLoss", label_smoothing=0.05))
)
