# ResNet-18 with a 3x3 stem and without max-pool, for 32x32 images.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(
        num_classes=10,
        mean=[125.307, 122.961, 113.8575],
        std=[51.5865, 50.847, 51.255],
        to_rgb=False,
    ),
    backbone=dict(type="ResNet_CIFAR", depth=18),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=512,
        loss=dict(type="CrossEntropyLoss"),
    ),
)
