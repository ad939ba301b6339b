# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, CALS with an adaptive margin.
_base_ = "../cals/deeplabv3_cityscapes.py"
model = dict(decode_head=dict(loss_decode=dict(margin=10.0, adaptive_margin=dict())))
