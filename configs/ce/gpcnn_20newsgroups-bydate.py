# The official split by date: test posts are later than the others.
_base_ = "gpcnn_20newsgroups.py"
train_dataloader = dict(dataset=dict(protocol="bydate"))
val_dataloader = dict(dataset=dict(protocol="bydate"))
test_dataloader = dict(dataset=dict(protocol="bydate"))
method_defaults = dict(num_samples=10414)
