# A CNN over words on 20 Newsgroups, entropy penalty.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(_delete_=True, type="EntropyPenaltyLoss", weight=0.1)))
