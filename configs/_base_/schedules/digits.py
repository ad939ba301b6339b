# From scratch until cross entropy is over-confident, in half a minute on a CPU.
train_cfg = dict(by_epoch=True, max_epochs=80, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
# Ends with the training, however long that is.
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0.0, by_epoch=True)]
