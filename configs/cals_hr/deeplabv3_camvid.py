# DeepLabV3 on all of CamVid's fit images, CALS by the heuristic rule.
_base_ = "../cals/deeplabv3_camvid.py"
model = dict(decode_head=dict(loss_decode=dict(rule="heuristic")))
