# A small DeepLabV3 on synthetic street scenes, entropy penalty.
_base_ = "../ce/deeplabv3_demo.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="EntropyPenaltyLoss", weight=0.1))
)
