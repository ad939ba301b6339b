# A small DeepLabV3 on synthetic street scenes, label smoothing.
_base_ = "../ce/deeplabv3_demo.py"
model = dict(
    decode_head=dict(
        loss_decode=dict(_delete_=True, type="SmoothedCrossEntropyLoss", label_smoothing=0.05)
    )
)
