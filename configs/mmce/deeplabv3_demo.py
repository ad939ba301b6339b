# A small DeepLabV3 on synthetic street scenes, MMCE.
_base_ = "../ce/deeplabv3_demo.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="MMCELoss", weight=2.0)))
