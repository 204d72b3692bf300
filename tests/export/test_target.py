"""Exports for GPUs and TPUs: cores that XLA compiles at every batch size, and answers that stay what they were."""

import pytest
from made_data import GREEDY

from tfllmrec.export import export
from tfllmrec.export.target import target_of
from tfllmrec.recommenders import FAMILIES
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replayed

NOT_COMPILED = {"markov_chain"}
COMPILED = [name for name in FAMILIES if name not in NOT_COMPILED and name != "cascade"]
QUESTION = {"user_id": [GREEDY, "用户3", ""], "history": [[""], ["item1"], ["a b|c"]], "exclude_item_ids": [[""]] * 3}


@pytest.fixture(scope="module")
def made_for(exports, tmp_path_factory):
    """A family's export for a target, written once."""
    made = {}

    def made_for(family, target):
        if (family, target) not in made:
            folder = tmp_path_factory.mktemp(target) / family
            made[family, target] = export(exports[family].recommender, folder, target=target, precision="float32")
        return made[family, target]

    return made_for


@pytest.mark.parametrize("family", COMPILED)
@pytest.mark.parametrize("target", ["gpu", "tpu"])
def test_try(made_for, family, target):
    import time

    t = time.time()
    path = made_for(family, target)
    print(family, target, time.time() - t, target_of(path).name)
    t = time.time()
    model = ServedModel(path, target_of(path).tags)
    print(sum(1 for _ in replayed(model)), time.time() - t)
