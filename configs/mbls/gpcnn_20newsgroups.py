# A CNN over words on 20 Newsgroups, margin-based label smoothing.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MbLSLoss", margin=5.0, weight=0.1)))
