# A small ResNet on scikit-learn's digits with a long tail, CALS by the heuristic rule.
_base_ = "../cals/resnet_digits-lt.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
