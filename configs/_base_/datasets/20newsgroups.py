# 20 Newsgroups in the authors' random protocol: 900 posts of the training part are val.
custom_imports = dict(imports=["cals_mm", "cals_mm.text"])
_posts = dict(
    type="Newsgroups",
    data_root="data/20newsgroups",
    protocol="random",
    val_size=900,
    remove=["headers"],
    vocabulary_size=20000,
    max_length=100,
)
_in_order = dict(type="LengthGroupedSampler", shuffle=False)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type="LengthGroupedSampler", shuffle=True, group=32),
    collate_fn=dict(type="pad_texts"),
    dataset=dict(split="train", **_posts),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=_in_order,
    collate_fn=dict(type="pad_texts"),
    dataset=dict(split="val", **_posts),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=_in_order,
    collate_fn=dict(type="pad_texts"),
    dataset=dict(split="test", **_posts),
)
val_evaluator = [dict(type="CalibrationMetric", class_table=False, draw=False)]
test_evaluator = [dict(type="CalibrationMetric")]
