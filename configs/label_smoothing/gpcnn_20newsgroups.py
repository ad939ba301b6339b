# A CNN over words on 20 Newsgroups, label smoothing.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(
    head=dict(loss=dict(_delete_=True, type="SmoothedCrossEntropyLoss", label_smoothing=0.05))
)
