# ImageNet at 256 px.
_base_ = "./imagenet.py"
_resize = dict(backend="pillow", interpolation="bicubic")
train_pipeline = [
    _base_.train_pipeline[0],
    dict(type="RandomResizedCrop", scale=256, **_resize),
    *_base_.train_pipeline[2:],
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="ResizeEdge", scale=292, edge="short", **_resize),
    dict(type="CenterCrop", crop_size=256),
    dict(type="PackInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
