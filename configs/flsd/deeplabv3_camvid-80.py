# DeepLabV3 on 80 images of CamVid, sample-dependent focal loss, FLSD-53.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="FLSDLoss")))
