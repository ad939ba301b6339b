# DeepLabV3 on 80 images of CamVid, MMCE.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="MMCELoss", weight=2.0)))
