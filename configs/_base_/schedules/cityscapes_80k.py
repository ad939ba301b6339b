# mmsegmentation's 80,000 iterations at a total batch of 8 (4 GPUs x 2), with gradient clipping.
# 334 iterations are one epoch of the 2,675 fit images: one validation, one multiplier update.
train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000, val_interval=334)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0005),
    clip_grad=dict(max_norm=2.0),
)
param_scheduler = [dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=0, end=80000, by_epoch=False)]
