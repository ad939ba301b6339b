# ResNet-50 with a 3x3 stem and without max-pool; a 2x2 grid of averages goes to the classifier.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(
        num_classes=200,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(type="ResNet_CIFAR", depth=50),
    neck=dict(type="cals_mm.frameworks.classifiers.GridAveragePooling", size=2),
    head=dict(
        type="LinearClsHead",
        num_classes=200,
        in_channels=4 * 2048,
        loss=dict(type="CrossEntropyLoss"),
    ),
)
