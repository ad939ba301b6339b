"""Networks, batches and the sampler: padding changes nothing, every text comes once."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cals_mm  # noqa: F401, registers the losses
from cals_mm.frameworks.logits import logits_and_target
from cals_mm.text import LengthGroupedSampler, TextClassifier, pad_texts
from cals_mm.text.dataset import EncodedSample

BACKBONES = ["GlobalPoolingCNN", "MeanPoolingMLP"]


def build(backbone: str, loss: dict | None = None, **options) -> TextClassifier:
    torch.manual_seed(0)
    return TextClassifier(
        dict(type=backbone, vocabulary_size=50, embedding_dim=12, channels=16, **options),
        dict(type="TextClsHead", num_classes=4, in_channels=16, loss=loss),
    )


def texts(*lengths: int) -> list[EncodedSample]:
    generator = np.random.default_rng(0)
    return [
        EncodedSample(generator.integers(1, 52, length).astype(np.int32), index % 4, index)
        for index, length in enumerate(lengths)
    ]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_padding_does_not_change_a_prediction(backbone):
    model = build(backbone).eval()
    samples = texts(1, 2, 3, 5, 8, 21, 0)
    together = model(pad_texts(samples)["inputs"])
    for row, sample in zip(together, samples):
        alone = pad_texts([sample])["inputs"]
        for extra in (0, 1, 4, 50):
            padded = torch.cat([alone, alone.new_zeros(1, extra)], dim=1)
            torch.testing.assert_close(model(padded)[0], row, rtol=1e-6, atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 1e-3, "all texts alike would prove nothing"


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_text_without_words_has_a_finite_prediction_and_gradient(backbone):
    model = build(backbone)
    batch = pad_texts(texts(0, 0))
    assert batch["inputs"].shape == (2, 1)
    losses = model(**batch, mode="loss")
    losses["loss"].backward()
    assert losses["loss"].isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.backbone.embedding.weight.grad[0].abs().sum() == 0


def test_the_convolutions_are_those_of_the_paper():
    """Against the same network written out on the words alone, without mask or padding."""
    model = build("GlobalPoolingCNN").eval()
    (sample,) = texts(17)
    backbone = model.backbone
    hidden = backbone.embedding.weight[sample.ids.astype(np.int64)].T[None]
    for number, conv in enumerate(backbone.convs):
        assert conv.kernel_size == (5,)
        hidden = torch.relu(conv(hidden))
        if number < 2:
            hidden = nn.MaxPool1d(5, stride=1, padding=2)(hidden)
    expected = torch.relu(backbone.fc(hidden.max(-1).values))
    actual = backbone(pad_texts([sample])["inputs"])
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_frozen_vectors_have_no_gradient():
    model = build("GlobalPoolingCNN", frozen_embeddings=True)
    model(**pad_texts(texts(3, 9)), mode="loss")["loss"].backward()
    assert model.backbone.embedding.weight.grad is None
    assert model.backbone.convs[0].weight.grad is not None


def test_loss_none_is_cross_entropy_and_a_config_is_built():
    batch = pad_texts(texts(3, 9, 4))
    model = build("MeanPoolingMLP")
    expected = nn.functional.cross_entropy(model(batch["inputs"]), batch["gt_label"])
    torch.testing.assert_close(model(**batch, mode="loss")["loss"], expected)
    cals = build("MeanPoolingMLP", dict(type="CALSLoss", num_classes=4, margin=0.01))
    cals.head.loss_module.lagrangian.multipliers.fill_(1.0)
    assert cals(**batch, mode="loss")["loss"] > expected + 0.1


def test_predictions_carry_logits_and_label():
    model = build("MeanPoolingMLP").eval()
    batch = pad_texts(texts(3, 9, 4))
    scores = model(batch["inputs"])
    samples = model.val_step(batch)
    for row, sample in enumerate(samples):
        for form in (sample, sample.to_dict()):
            logits, target = logits_and_target(form)
            assert torch.equal(logits, scores[row])
            assert int(target) == row
        assert sample.sample_idx == row


def test_modes(backbone="MeanPoolingMLP"):
    model = build(backbone)
    batch = pad_texts(texts(3))
    with pytest.raises(ValueError, match="mode is 'train'"):
        model(**batch, mode="train")
    with pytest.raises(ValueError, match="needs gt_label"):
        model(batch["inputs"], mode="loss")


def test_a_word_without_a_vector_names_the_cure():
    inputs = torch.tensor([[3, 52]])
    with pytest.raises(ValueError, match=r"id 52.*up to 51.*model\.backbone\.vocabulary_size"):
        build("GlobalPoolingCNN")(inputs)


# --- sampler --------------------------------------------------------------------------------


class Lengths:
    """A data set that has nothing but lengths."""

    def __init__(self, size: int) -> None:
        self.lengths = np.random.default_rng(0).integers(0, 100, size)

    def __len__(self) -> int:
        return len(self.lengths)


def order(sampler: LengthGroupedSampler, epoch: int = 0) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [1, 7, 64, 203])
def test_every_text_comes_once(size, shuffle):
    sampler = LengthGroupedSampler(Lengths(size), group=8, pool=3, shuffle=shuffle, seed=1)
    assert len(sampler) == size
    assert sorted(order(sampler)) == list(range(size))


def test_the_order_follows_from_seed_and_epoch():
    data = Lengths(203)
    one, same, other = (
        LengthGroupedSampler(data, group=8, pool=3, seed=seed) for seed in (1, 1, 2)
    )
    assert order(one, 3) == order(same, 3)
    assert order(one, 3) != order(one, 4)
    assert order(one, 3) != order(other, 3)
    batches = [
        {frozenset(indices[i : i + 8]) for i in range(0, 200, 8)}
        for indices in (order(one, 0), order(one, 1))
    ]
    assert len(batches[0] & batches[1]) <= 2, "the same texts share a batch in each epoch"


def padding(indices: list[int], lengths: np.ndarray, batch: int) -> int:
    parts = [lengths[indices[i : i + batch]] for i in range(0, len(indices), batch)]
    return sum(int((part.max() - part).sum()) for part in parts)


@pytest.mark.parametrize("shuffle", [True, False])
def test_less_padding_than_in_random_order(shuffle):
    data = Lengths(1000)
    grouped = LengthGroupedSampler(data, group=20, pool=10, shuffle=shuffle, seed=0)
    random = np.random.default_rng(0).permutation(1000).tolist()
    assert padding(order(grouped), data.lengths, 20) < 0.3 * padding(random, data.lengths, 20)


@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_the_order_of_one(monkeypatch, shuffle):
    data = Lengths(203)
    options = dict(group=8, pool=3, shuffle=shuffle, seed=0)
    whole = order(LengthGroupedSampler(data, **options))
    parts = []
    for rank in range(3):
        monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda rank=rank: (rank, 3))
        parts.append(order(LengthGroupedSampler(data, **options)))
    merged = [index for position in zip(*parts) for index in position]
    assert merged[:203] == whole
    assert merged[203:] == whole[:1]


def test_sampler_needs_lengths():
    with pytest.raises(TypeError, match="needs a data set with lengths"):
        LengthGroupedSampler([1, 2, 3])
    with pytest.raises(ValueError, match="group is 0"):
        LengthGroupedSampler(Lengths(3), group=0)


def test_batch_is_three_tensors():
    batch = pad_texts(texts(2, 4))
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "inputs": (2, 4),
        "gt_label": (2,),
        "sample_idx": (2,),
    }
    assert all(isinstance(value, Tensor) for value in batch.values())
    assert batch["inputs"][0, 2:].tolist() == [0, 0]
