# A CNN over words on 20 Newsgroups, CALS with multipliers of each sample.
_base_ = "../ce/gpcnn_20newsgroups.py"
model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type="SampleCALSLoss", num_classes=20, num_samples=14177, margin=5.0
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type="SampleMultiplierHook")]
