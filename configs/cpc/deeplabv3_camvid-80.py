# 80 images, 80 epochs: pairwise constraints becomes over-confident.
_base_ = "../ce/deeplabv3_camvid-80.py"
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type="PairwiseConstraintLoss")))
