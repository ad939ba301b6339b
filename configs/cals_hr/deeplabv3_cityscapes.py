# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, CALS by the heuristic rule.
_base_ = "../cals/deeplabv3_cityscapes.py"
model = dict(decode_head=dict(loss_decode=dict(rule="heuristic")))
