# A small DeepLabV3 on synthetic street scenes, CALS with an adaptive margin.
_base_ = "../cals/deeplabv3_demo.py"
model = dict(decode_head=dict(loss_decode=dict(margin=10.0, adaptive_margin=dict())))
