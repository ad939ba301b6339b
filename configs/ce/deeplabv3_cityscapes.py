# DeepLabV3, ResNet-50, 512x1024 crops of Cityscapes, cross entropy.
_base_ = [
    "../_base_/models/deeplabv3_r50-d8.py",
    "../_base_/datasets/cityscapes.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/cityscapes_80k.py",
]
model = dict(data_preprocessor=dict(size=(512, 1024)))
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=3340, max_keep_ckpts=3),
)
log_processor = dict(by_epoch=False)
method_defaults = dict(margin=10.0)
