# A CNN over words on 20 Newsgroups, sample-dependent focal loss, FLSD-53.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(_delete_=True, type="FLSDLoss")))
