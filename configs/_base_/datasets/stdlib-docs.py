# Docstrings of the running Python's standard library by subject: no download.
custom_imports = dict(imports=["cals_mm", "cals_mm.text"])
_docstrings = dict(type="StdlibDocstrings", vocabulary_size=8000, max_length=100)
_in_order = dict(type="LengthGroupedSampler", shuffle=False)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type="LengthGroupedSampler", shuffle=True, group=32),
    collate_fn=dict(type="pad_texts"),
    dataset=dict(split="train", **_docstrings),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=_in_order,
    collate_fn=dict(type="pad_texts"),
    dataset=dict(split="val", **_docstrings),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=_in_order,
    collate_fn=dict(type="pad_texts"),
    dataset=dict(split="test", **_docstrings),
)
val_evaluator = [dict(type="CalibrationMetric", class_table=False, draw=False)]
test_evaluator = [dict(type="CalibrationMetric")]
