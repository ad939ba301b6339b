# From scratch until cross entropy is over-confident: minutes on two CPU cores.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=60, val_interval=2)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type="PolyLR",
        eta_min=1e-5,
        power=0.9,
        begin=0,
        end=60,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
