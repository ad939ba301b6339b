# 80 images, 80 epochs: cross entropy becomes over-confident.
_base_ = "./deeplabv3_camvid.py"
train_cfg = dict(max_epochs=80, val_interval=2)
param_scheduler = [
    dict(
        type="PolyLR",
        eta_min=1e-5,
        power=0.9,
        begin=0,
        end=80,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_dataloader = dict(batch_size=4, dataset=dict(max_images=80))
method_defaults = dict(margin=7.0)
