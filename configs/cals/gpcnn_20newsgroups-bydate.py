# A CNN over words on 20 Newsgroups, split by date, CALS.
_base_ = "../ce/gpcnn_20newsgroups-bydate.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=20, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
