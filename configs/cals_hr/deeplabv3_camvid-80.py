# DeepLabV3 on 80 images of CamVid, CALS by the heuristic rule.
_base_ = "../cals/deeplabv3_camvid-80.py"
model = dict(decode_head=dict(loss_decode=dict(rule="heuristic")))
