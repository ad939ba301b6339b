# A CNN over words on 20 Newsgroups, ACLS.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(_delete_=True, type="ACLSLoss", margin=5.0, weight=0.1)))
