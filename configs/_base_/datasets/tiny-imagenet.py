# Tiny-ImageNet: 90,000 training images, the other 10,000 as val, where the multipliers are
# learned, and the official val as test.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.classification"])
data_root = "data/tiny-imagenet-200"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="RandomCrop", crop_size=64, padding=4),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]
_in_order = dict(type="DefaultSampler", shuffle=False)
train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="TinyImageNetSplit", data_root=data_root, split="train", pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    sampler=_in_order,
    dataset=dict(
        type="TinyImageNetSplit", data_root=data_root, split="val", pipeline=test_pipeline
    ),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=4,
    sampler=_in_order,
    dataset=dict(
        type="TinyImageNetSplit", data_root=data_root, split="test", pipeline=test_pipeline
    ),
)
val_evaluator = [dict(type="Accuracy", topk=(1, 5)), dict(type="CalibrationMetric")]
test_evaluator = val_evaluator
