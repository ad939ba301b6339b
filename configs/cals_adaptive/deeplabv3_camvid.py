# DeepLabV3 on all of CamVid's fit images, CALS with an adaptive margin.
_base_ = "../cals/deeplabv3_camvid.py"
model = dict(decode_head=dict(loss_decode=dict(margin=10.0, adaptive_margin=dict())))
