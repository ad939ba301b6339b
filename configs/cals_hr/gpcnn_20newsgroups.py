# A CNN over words on 20 Newsgroups, CALS by the heuristic rule.
_base_ = "../cals/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(rule="heuristic")))
