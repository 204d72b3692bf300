"""The parts of a cascade: given and created ones, checks before any fit, and refits for the ranker's lists."""

from collections.abc import Callable
from typing import Any

import pytest

from tfllmrec import Cascade, Recommender
from tfllmrec.data import Checkerboard, Split, leave_one_out
from tfllmrec.errors import InputError
from tfllmrec.models.cascade.parts import refitted
from tfllmrec.models.registry import model_class

Make = Callable[..., Any]
SIZES = {"candidates": 4, "ranked": 6}


def test_parts_fitted_on_other_items_are_refused(
    chain: Recommender, make: Make, board: Checkerboard, split: Split
) -> None:
    other = make("popularity").fit(board.data.keep(board.data.item_indices > 0))
    model = Cascade(retrievers=[chain, other], ranker="", **SIZES)
    assert model.fit(split.train).is_fitted  # other interactions of the same items
    smaller = split.train.interactions.query("item_id != 'i00'")
    other = make("popularity").fit(type(board.data).from_frames(smaller))
    for parts in ([chain, other], [other, chain]):
        with pytest.raises(InputError, match=r"^cascade: popularity was fitted on other ids; fit all parts on the "):
            Cascade(retrievers=parts, ranker="", **SIZES).fit(split.train)


def test_fitted_parts_are_kept_and_others_are_fitted(chain: Recommender, make: Make, split: Split) -> None:
    popular, fitted = make("popularity"), chain.model
    model = Cascade(retrievers=[chain, popular, "ease"], ranker="", **SIZES).fit(split.train)
    assert model.retrievers[:2] == (chain, popular)
    assert chain.model is fitted
    assert [part.is_fitted for part in model.retrievers] == [True] * 3


def test_a_wrong_number_of_weights_is_refused(chain: Recommender, split: Split) -> None:
    with pytest.raises(InputError, match=r"^cascade: give one weight for each of the 1 parts, not 2$"):
        Cascade(retrievers=[chain], ranker="", weights=[1, 2]).fit(split.train)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ranker": "ease"}, r"^cascade: ease is not a ranker; choose one of bert_ranker, cross_encoder$"),
        ({"ranker": "unregistered"}, r"^unknown family 'unregistered'"),
        ({"retrievers": "markov_chain,unregistered"}, r"^unknown family 'unregistered'"),
        ({"retrievers": ""}, r"^cascade: give at least one retriever$"),
        ({"retrievers": "ease,ease"}, r"^cascade: 2 parts are of the family ease, and options are set by family; "),
        ({"retrievers": "ease,bert_ranker"}, r"^cascade: 2 parts are of the family bert_ranker, and options are set"),
        ({"weights": "1,2"}, r"^cascade: give one weight for each of the 3 parts, not 2$"),
        ({"parts": {"ease": {"l3": 1}}}, r"^unknown option l3"),
    ],
)
def test_invalid_options_are_refused_before_any_fit(
    make: Make, split: Split, options: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for family in ("markov_chain", "ease", "bert_ranker"):
        monkeypatch.setattr(model_class(family), "_fit", lambda *_, **__: pytest.fail("a fit was started"))
    with pytest.raises(InputError, match=sentence) as error:
        make("cascade", **options).fit(split.train)
    assert "\n" not in str(error.value)


def test_options_reach_the_parts(make: Make, split: Split) -> None:
    parts = {"ease": {"l2": 7.0}, "markov_chain": {"history_length": 2}}
    model = make("cascade", parts='{"ease": {"l2": 7.0}, "markov_chain": {"history_length": 2}}', ranker="", seed=3)
    model.fit(split.train)
    assert model.config.parts == parts
    chain, ease = model.retrievers
    assert (ease.config.l2, ease.history_length, chain.history_length) == (7.0, 4, 2)
    assert (chain.config.seed, ease.config.seed) == (3, 3)
    assert model.ranker is None
    assert model.history_length == 4


def test_two_parts_of_a_family_must_be_fitted_separately(make: Make, split: Split) -> None:
    near, far = (make("markov_chain", history_length=length).fit(split.train) for length in (1, 4))
    model = Cascade(retrievers=[near, far], ranker="").fit(split.train, split.validation)
    assert [part.history_length for part in model.retrievers] == [1, 4]
    with pytest.raises(InputError, match=r"^cascade: 2 parts are of the family markov_chain, and .*recommenders$"):
        model.refit_config()


class Stub:
    """Record the fits of a retriever."""

    def __init__(self, config: str, fits: list[tuple[str, Any]]) -> None:
        self.config, self.fits = config, fits

    def refit_config(self) -> str:
        return f"{self.config} with the best epochs"

    def with_config(self, config: str) -> "Stub":
        return Stub(config, self.fits)

    def fit(self, known: Any, **_: Any) -> "Stub":
        self.fits.append((self.config, known))
        return self


def test_retrievers_are_refitted_with_the_best_epochs(board: Checkerboard) -> None:
    train, fits = leave_one_out(board.data).train, list[tuple[str, Any]]()
    for validated, config in ((True, "options with the best epochs"), (False, "options")):
        retriever: Any = Stub("options", fits)
        [fitted] = refitted([retriever], train, validated=validated)
        assert fitted is not retriever
        assert fits.pop() == (config, train)
