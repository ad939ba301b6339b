# The paper's 200 epochs of AdamW at a total batch of 512 (8 GPUs x 64), cosine after one epoch of
# warm-up, clipping by norm 2. With another total batch, set auto_scale_lr.enable=True.
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={
            ".absolute_pos_embed": dict(decay_mult=0.0),
            ".relative_position_bias_table": dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    # From 5e-7 to 5e-4.
    dict(
        type="LinearLR",
        start_factor=1e-3,
        begin=0,
        end=1,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(type="CosineAnnealingLR", eta_min=5e-6, begin=1, by_epoch=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=512)
