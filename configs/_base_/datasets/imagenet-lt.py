# ImageNet-LT by its lists, 224 px: long-tailed train, its own balanced val, where the multipliers
# are learned, and its balanced test.
_base_ = "./imagenet.py"
train_dataloader = dict(dataset=dict(type="ImageNetLT"))
val_dataloader = dict(dataset=dict(type="ImageNetLT"))
test_dataloader = dict(dataset=dict(type="ImageNetLT"))
val_evaluator = [*_base_.val_evaluator, dict(type="LongTailMetric")]
test_evaluator = val_evaluator
