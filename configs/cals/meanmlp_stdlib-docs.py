# The mean of word vectors and an MLP on docstrings of Python's library, CALS.
_base_ = "../ce/meanmlp_stdlib-docs.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="CALSLoss", num_classes=11, margin=_base_.method_defaults.margin
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="CALSMultiplierHook")]
