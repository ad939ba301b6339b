# A CNN over words on 20 Newsgroups, MMCE.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(_delete_=True, type="MMCELoss", weight=2.0)))
