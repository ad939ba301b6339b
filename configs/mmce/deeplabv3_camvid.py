# DeepLabV3 on all of CamVid's fit images, MMCE.
_base_ = "../ce/deeplabv3_camvid.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="MMCELoss", weight=2.0)))
