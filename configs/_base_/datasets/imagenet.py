# ImageNet, 224 px: all training images; 10,000 of the official val as val, where the multipliers
# are learned; the other 40,000 as test.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.classification"])
data_root = "data/imagenet"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="RandomResizedCrop", scale=224, backend="pillow", interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type="RandomErasing", erase_prob=0.25, mode="rand"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="ResizeEdge", scale=256, edge="short", backend="pillow", interpolation="bicubic"),
    dict(type="CenterCrop", crop_size=224),
    dict(type="PackInputs"),
]
_in_order = dict(type="DefaultSampler", shuffle=False)
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="ImageNetSplit", data_root=data_root, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=_in_order,
    dataset=dict(type="ImageNetSplit", data_root=data_root, split="val", pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    sampler=_in_order,
    dataset=dict(type="ImageNetSplit", data_root=data_root, split="test", pipeline=test_pipeline),
)
val_evaluator = [dict(type="Accuracy", topk=(1, 5)), dict(type="CalibrationMetric")]
test_evaluator = val_evaluator
