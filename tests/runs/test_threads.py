"""Small models use the threads that their config says, and users have the last word."""

import pytest
import torch
from mmengine.config import Config

from cals_mm.runs import choose_threads, cores, load_config
from cals_mm.runs.threads import VARIABLES


@pytest.fixture
def two_threads(monkeypatch):
    """Two threads, and an environment that says nothing."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_small_model_gets_its_threads(two_threads):
    line = choose_threads(Config({"cpu_threads": 1}))
    assert torch.get_num_threads() == 1
    assert line == "1 CPU thread, by the config's cpu_threads; OMP_NUM_THREADS sets another number"


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_environment_has_the_last_word(two_threads, monkeypatch, variable):
    monkeypatch.setenv(variable, "2")
    assert choose_threads(Config({"cpu_threads": 1})) is None
    assert torch.get_num_threads() == 2


def test_other_configs_keep_torchs_threads(two_threads):
    assert choose_threads(Config({})) is None
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("number", [0, "two"])
def test_no_number_of_threads(two_threads, number):
    with pytest.raises(ValueError, match="cpu_threads is"):
        choose_threads(Config({"cpu_threads": number}))


@pytest.mark.parametrize("name", ["meanmlp_stdlib-docs", "gpcnn_20newsgroups", "resnet_digits-lt"])
def test_the_small_configs_say_so(name):
    assert load_config(f"configs/cals/{name}.py").cpu_threads == 1


def test_cores():
    assert cores() >= 1
