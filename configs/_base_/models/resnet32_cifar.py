# ResNet-32 for CIFAR, as in the literature on long tails.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(
        num_classes=100,
        mean=[129.304, 124.070, 112.434],
        std=[68.170, 65.392, 70.418],
        to_rgb=False,
    ),
    backbone=dict(type="cals_mm.frameworks.classifiers.ThreeStageResNet", depth=32),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=100,
        in_channels=64,
        loss=dict(type="CrossEntropyLoss"),
    ),
)
