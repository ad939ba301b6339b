# The paper's 100 epochs of SGD at batch 128, a tenth of the rate at 40 and 60, clipping by norm 2.
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)
param_scheduler = [dict(type="MultiStepLR", milestones=[40, 60], gamma=0.1, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=128)
