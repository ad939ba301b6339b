# ImageNet-LT at 256 px.
_base_ = "./imagenet_256.py"
train_dataloader = dict(dataset=dict(type="ImageNetLT"))
val_dataloader = dict(dataset=dict(type="ImageNetLT"))
test_dataloader = dict(dataset=dict(type="ImageNetLT"))
val_evaluator = [*_base_.val_evaluator, dict(type="LongTailMetric")]
test_evaluator = val_evaluator
