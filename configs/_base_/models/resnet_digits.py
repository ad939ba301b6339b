# A small ResNet for 8x8 grey images.
model = dict(
    type="ImageClassifier",
    data_preprocessor=dict(num_classes=10, mean=[73.3], std=[90.3], to_rgb=False),
    backbone=dict(
        type="ResNet_CIFAR",
        depth=18,
        in_channels=1,
        stem_channels=16,
        base_channels=16,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=10,
        in_channels=64,
        loss=dict(type="CrossEntropyLoss"),
    ),
)
# Operations on 8x8 pixels: threads would mostly wait for each other.
cpu_threads = 1
