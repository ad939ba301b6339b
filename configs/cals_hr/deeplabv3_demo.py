# A small DeepLabV3 on synthetic street scenes, CALS by the heuristic rule.
_base_ = "../cals/deeplabv3_demo.py"
model = dict(decode_head=dict(loss_decode=dict(rule="heuristic")))
