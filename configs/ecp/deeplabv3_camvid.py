# DeepLabV3 on all of CamVid's fit images, entropy penalty.
_base_ = "../ce/deeplabv3_camvid.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="EntropyPenaltyLoss", weight=0.1))
)
