# A CNN over words on 20 Newsgroups, CALS with an adaptive margin.
_base_ = "../cals/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(margin=10.0, adaptive_margin=dict())))
