# 200 epochs of SGD at batch 128 with cosine decay and gradient clipping by norm 2.
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
# Ends with the training, so that train_cfg.max_epochs alone makes it shorter.
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0.0, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=128)
