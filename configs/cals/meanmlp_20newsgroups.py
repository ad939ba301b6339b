# The mean of word vectors and an MLP on 20 Newsgroups, CALS.
_base_ = "../ce/meanmlp_20newsgroups.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=20, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
