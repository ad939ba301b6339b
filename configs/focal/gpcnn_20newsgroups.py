# A CNN over words on 20 Newsgroups, focal loss.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(_delete_=True, type="SoftmaxFocalLoss", gamma=3.0)))
