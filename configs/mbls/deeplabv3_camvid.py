# DeepLabV3 on all of CamVid's fit images, margin-based label smoothing.
_base_ = "../ce/deeplabv3_camvid.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="MbLSLoss", margin=10.0, weight=0.1))
)
