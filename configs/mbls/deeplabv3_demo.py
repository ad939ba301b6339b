# A small DeepLabV3 on synthetic street scenes, margin-based label smoothing.
_base_ = "../ce/deeplabv3_demo.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="MbLSLoss", margin=7.0, weight=0.1))
)
