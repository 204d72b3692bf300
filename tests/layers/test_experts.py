"""Names of experts, the experts that a task may use, and their mixture."""

import keras
import numpy as np
import pytest

from tfllmrec.layers.experts import allowed_experts, expert_mixture, expert_names

TASKS = ("next_item", "rating")
SCENARIOS = ("beauty", "toys")


@pytest.mark.parametrize(
    ("sharing", "names"),
    [
        ("shared_bottom", ["shared 1"]),
        ("mmoe", ["shared 1", "shared 2"]),
        ("ple", ["shared 1", "shared 2", "next_item", "rating"]),
    ],
)
def test_expert_names(sharing, names):
    assert expert_names(sharing, TASKS, experts=2) == names
    assert expert_names(sharing, TASKS, experts=2, scenarios=SCENARIOS) == [*names, *SCENARIOS]


def test_allowed_experts():
    names = expert_names("ple", TASKS, experts=1, scenarios=SCENARIOS)
    allowed = allowed_experts(names, TASKS, SCENARIOS)
    by_task = {
        (scenario, task): [name for name, is_allowed in zip(names, allowed[index, row], strict=True) if is_allowed]
        for index, scenario in enumerate(["", *SCENARIOS])
        for row, task in enumerate(TASKS)
    }
    assert by_task == {
        ("", "next_item"): ["shared 1", "next_item"],
        ("", "rating"): ["shared 1", "rating"],
        ("beauty", "next_item"): ["shared 1", "next_item", "beauty"],
        ("beauty", "rating"): ["shared 1", "rating", "beauty"],
        ("toys", "next_item"): ["shared 1", "next_item", "toys"],
        ("toys", "rating"): ["shared 1", "rating", "toys"],
    }


@pytest.fixture
def mixture():
    keras.utils.set_random_seed(1)
    names = expert_names("ple", TASKS, experts=2, scenarios=SCENARIOS)
    return expert_mixture(3, 5, allowed_experts(names, TASKS, SCENARIOS), hidden_units=4)


def inputs_of(scenario, rows=6):
    state = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    return {"state": state, "scenario": np.full(rows, scenario, np.int32)}


def test_gates_sum_to_one_over_allowed_experts(mixture):
    kernel = mixture.get_layer("gates").state_logits.kernel
    kernel.assign(np.random.default_rng(1).normal(size=kernel.shape))
    gates = mixture(inputs_of(2))["gates"].numpy()
    np.testing.assert_allclose(gates.sum(axis=2), 1, rtol=1e-6)
    assert (gates[:, 0, [3, 4]] == 0).all(), "experts of the other task and of the other scenario"
    assert (gates[:, 1, [2, 4]] == 0).all()
    assert (gates[:, 0, [0, 1, 2, 5]] > 0).all()
    assert gates.std(axis=0)[0, 0] > 0, "gates depend on the state"


def test_gates_depend_on_the_scenario(mixture):
    layer = mixture.get_layer("gates")
    layer.scenario_logits.assign(np.random.default_rng(1).normal(size=layer.scenario_logits.shape))
    beauty, toys = (mixture(inputs_of(scenario))["gates"].numpy() for scenario in (1, 2))
    assert not np.allclose(beauty[:, :, :2], toys[:, :, :2])


def test_mixture_equals_numpy(mixture):
    inputs = inputs_of(1)
    outputs = mixture(inputs)
    bank, linear = mixture.get_layer("bank"), mixture.get_layer("linear")
    hidden = np.maximum(inputs["state"] @ bank.hidden.kernel.numpy() + bank.hidden.bias.numpy(), 0).reshape(6, 6, 4)
    expert_outputs = np.einsum("neh,ehd->ned", hidden, bank.output_kernel.numpy())
    base = inputs["state"] @ linear.kernel.numpy() + linear.bias.numpy()
    expected = base[:, None] + outputs["gates"].numpy() @ expert_outputs
    np.testing.assert_allclose(outputs["vectors"], expected, rtol=1e-5, atol=1e-6)


def test_projection_is_omitted_for_equal_widths():
    allowed = allowed_experts(["shared 1"], TASKS, ())
    assert {layer.name for layer in expert_mixture(4, 4, allowed, hidden_units=2).layers}.isdisjoint({"linear"})


def test_save_and_load(mixture, tmp_path):
    mixture.save(tmp_path / "experts.keras")
    loaded = keras.saving.load_model(tmp_path / "experts.keras")
    for name, expected in mixture(inputs_of(2)).items():
        np.testing.assert_array_equal(loaded(inputs_of(2))[name], expected)
