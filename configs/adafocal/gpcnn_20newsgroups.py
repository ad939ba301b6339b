# A CNN over words on 20 Newsgroups, AdaFocal.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(head=dict(loss=dict(_delete_=True, type="AdaFocalLoss")))
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
