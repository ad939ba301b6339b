# A small ResNet on scikit-learn's digits with a long tail, CALS with an adaptive margin.
_base_ = "../cals/resnet_digits-lt.py"
model = dict(head=dict(loss=dict(margin=10.0, adaptive_margin=dict())))
