# DeepLabV3 on 80 images of CamVid, entropy penalty.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="EntropyPenaltyLoss", weight=0.1))
)
