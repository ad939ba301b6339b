# DeepLabV3, ResNet-50, 512x512 crops of PASCAL VOC 2012, CALS with an adaptive margin.
_base_ = "../cals/deeplabv3_voc12.py"
model = dict(decode_head=dict(loss_decode=dict(margin=10.0, adaptive_margin=dict())))
