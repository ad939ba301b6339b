# DeepLabV3 on 80 images of CamVid, ACLS.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="ACLSLoss", margin=7.0, weight=0.1))
)
