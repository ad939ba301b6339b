# DeepLabV3 on 80 images of CamVid, CALS with an adaptive margin.
_base_ = "../cals/deeplabv3_camvid-80.py"
model = dict(decode_head=dict(loss_decode=dict(margin=10.0, adaptive_margin=dict())))
