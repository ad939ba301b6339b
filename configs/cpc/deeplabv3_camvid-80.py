# DeepLabV3 on 80 images of CamVid, pairwise constraints.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="PairwiseConstraintLoss")))
