# DeepLabV3 on all of CamVid's fit images, ACLS.
_base_ = "../ce/deeplabv3_camvid.py"
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type="ACLSLoss", margin=10.0, weight=0.1))
)
