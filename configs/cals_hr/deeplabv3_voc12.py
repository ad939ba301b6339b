# DeepLabV3, ResNet-50, 512x512 crops of PASCAL VOC 2012, CALS by the heuristic rule.
_base_ = "../cals/deeplabv3_voc12.py"
model = dict(decode_head=dict(loss_decode=dict(rule="heuristic")))
