# The mean of the word vectors and two fully connected layers.
model = dict(
    type="TextClassifier",
    backbone=dict(type="MeanPoolingMLP", vocabulary_size=20000, embedding_dim=100, channels=128),
    head=dict(type="TextClsHead", num_classes=20, in_channels=128, loss=None),
)
