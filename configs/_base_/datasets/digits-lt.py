# Scikit-learn's digits, 8x8: a long tail to train on, balanced val (multipliers) and test.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.classification"])
ratio = 50
pipeline = [dict(type="PackInputs")]
_in_order = dict(type="DefaultSampler", shuffle=False)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="DigitsLT", split="train", ratio=ratio, pipeline=pipeline),
)
val_dataloader = dict(
    batch_size=300,
    num_workers=0,
    sampler=_in_order,
    dataset=dict(type="DigitsLT", split="val", pipeline=pipeline),
)
test_dataloader = dict(
    batch_size=300,
    num_workers=0,
    sampler=_in_order,
    dataset=dict(type="DigitsLT", split="test", pipeline=pipeline),
)
_common = [
    dict(type="Accuracy", topk=(1,)),
    # 84, 54 and 35 scans are many; 22, 14 and 9 medium; 6, 4, 2 and 1 few.
    dict(type="LongTailMetric", many_above=30, few_below=8),
]
val_evaluator = [*_common, dict(type="CalibrationMetric", class_table=False, draw=False)]
test_evaluator = [*_common, dict(type="CalibrationMetric")]
