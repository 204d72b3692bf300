"""What an export of a ranker answers for given candidates, by id, by index and as raw texts."""

import numpy as np
import pytest
import tensorflow as tf
from answers import LOWEST, padded
from small_data import GREEDY, ITEMS
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfllmrec.export import Servable, binding
from tfllmrec.export.target import CPU
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.models.ranker import text_ranker


def ranker_of(recommender):
    """The ranker of a cascade, or the recommender itself."""
    return getattr(recommender, "ranker", recommender)


def score_candidates(recommender, *arrays):
    return ranker_of(recommender).predictor.score_candidates(*arrays)["scores"]


QUESTIONS = {
    "known user": ("用户3", [], ITEMS[:5]),
    "known user whose history is longer than the model reads": (GREEDY, [], ITEMS),
    "known user with a given history": ("用户3", ["item1", "电影一"], ITEMS),
    "history alone": ("", ["🎬🍿", "a b|c", 'say "hi"'], ITEMS[::-1]),
    "history longer than the model reads": ("", ITEMS[:7], ITEMS),
    "neither": ("nobody", [], ITEMS),
    "unknown items": ("", ["", "unheard of", "item1", "未知"], ["never", "item5", "", "item2", "未知"]),
    "nothing but unknown items": ("用户4", ["unheard of"], ["unheard of", ""]),
    "an item twice": ("", ["item1", "item1"], ["item3", "item3", "item1"]),
    "no candidate": ("用户3", ["item1"], []),
}
HOSTILE = [
    "[SEP] [CLS] [MASK]",
    "\0\x07\u200b a",
    "🎬🇫🇷",
    "花样年华 2",
    "x" * 5000,
    "word " * 3000,
    "a\xa0b\u3000c",
    "ÉTÉ",
]
TEXT_QUESTIONS = {
    "a history": (["Title of item1", "a film"], ["Title of item2", "another film"]),
    "no history": ([], ["Title of item2", "another film"]),
    "blanks": (["", "a film", " \xa0", "Title of item1", ""], ["", "Title of item2", "\u3000 ", "another film"]),
    "hostile": (HOSTILE[:3], HOSTILE),
    "hostile history": (HOSTILE, ["Title of item2"]),
    "longer than the model reads": ([f"film {number}" for number in range(9)], ["film 3", "film 8"]),
    "no candidate": (["a film"], []),
    "nothing": ([], []),
}


@pytest.fixture(params=["bert_ranker", "cross_encoder", "cascade"])
def ranking(request, exports):
    return exports[request.param]


@pytest.fixture
def rank(runtime, ranking):
    """The scores that `rank` answers to questions."""

    def rank(questions, width=0):
        users, histories, candidates = zip(*questions, strict=True)
        asked = {"history": padded(histories, width), "candidate_item_ids": padded(candidates, width)}
        return runtime.run(ranking.path, "rank", user_id=users, **asked)["scores"]

    return rank


@pytest.fixture
def rank_texts(runtime, ranking):
    """The scores that `rank_texts` answers to questions."""

    def rank_texts(questions, width=0):
        histories, candidates = zip(*questions, strict=True)
        asked = {"history_texts": padded(histories, width), "candidate_texts": padded(candidates, width)}
        return runtime.run(ranking.path, "rank_texts", **asked)["scores"]

    return rank_texts


def expected_scores(recommender, user, history, candidates):
    """What the ranker says in Python of one question."""
    fitted_data = recommender.fitted_data
    known = fitted_data.users.lookup([user])
    given = [item for item in fitted_data.items.lookup(history) if item]
    stored = fitted_data.histories.take(known).row(0).tolist()
    read = (given or stored)[-4:]
    asked = np.array([[*read, *[0] * (4 - len(read))]], np.int32)
    items = fitted_data.items.lookup(candidates)
    return np.where(items > 0, score_candidates(recommender, known, asked, items[None])[0], LOWEST)


def test_scores_are_the_rankers(ranking, rank):
    answers = rank(QUESTIONS.values())
    assert answers.shape == (len(QUESTIONS), len(ITEMS))
    for row, (question, asked) in enumerate(QUESTIONS.items()):
        count = len(asked[2])
        if count:
            expected = expected_scores(ranking.recommender, *asked)
            np.testing.assert_allclose(answers[row, :count], expected, 1e-5, 1e-6, err_msg=question)
        assert (answers[row, count:] == LOWEST).all(), question
    assert np.isfinite(answers).all()


def test_the_rules_hold_by_themselves(ranking, rank):
    """Not only as the recommender has them."""
    answers = dict(zip(QUESTIONS, rank(QUESTIONS.values()), strict=True))
    counts = dict(
        zip(ranking.recommender.fitted_data.items.tokens, ranking.recommender.fitted_data.counts, strict=True)
    )
    popular = [np.log1p(counts[item]) for item in ITEMS]
    np.testing.assert_allclose(answers["neither"], popular, rtol=1e-5)
    assert (answers["unknown items"] == LOWEST).tolist() == [True, False, True, False, *[True] * 8]
    assert (answers["nothing but unknown items"] == LOWEST).all()
    assert answers["an item twice"][0] == answers["an item twice"][1] != answers["an item twice"][2]
    stored = [(GREEDY, [], ITEMS), ("nobody", ITEMS[6:10], ITEMS), ("nobody", ["", *ITEMS[4:10]], ITEMS)]
    histories = rank(stored)  # GREEDY has had all but the last two
    np.testing.assert_allclose(histories[1:], histories[[0, 0]], rtol=1e-5, atol=1e-6)
    assert np.ptp(histories[0]) > 1e-4


def test_padding_and_neighbours_change_nothing(rank):
    together = rank(QUESTIONS.values())
    np.testing.assert_allclose(rank(QUESTIONS.values(), width=33)[:, : len(ITEMS)], together, rtol=1e-5, atol=1e-6)
    for row, question in enumerate(QUESTIONS.values()):
        alone = rank([question])[0]
        np.testing.assert_allclose(alone, together[row, : len(alone)], rtol=1e-5, atol=1e-6)


def test_the_core_alone(runtime, ranking):
    """It reads nothing stored, and indices that do not exist are nothing."""
    users, histories = [1, -7, 10**6], [[0, 0, 0, 0], [3, 0, 10**6, 5], [-1, 3, 5, 0]]
    candidates = [[1, 2, 3], [-1, 4, 10**6], [6, 0, 4]]
    answer = runtime.run(ranking.path, "rank_ids", user=users, history=histories, candidates=candidates)
    fitted_data = ranking.recommender.fitted_data
    read = np.array([[3, 5, 0, 0]] * 2, np.int32)
    items = np.array([[0, 4, 0], [6, 0, 4]], np.int32)
    expected = score_candidates(ranking.recommender, np.zeros(2, np.int32), read, items)
    np.testing.assert_allclose(answer["scores"][0], np.log1p(fitted_data.counts[1:4]), rtol=1e-5)
    np.testing.assert_allclose(answer["scores"][1:], np.where(items > 0, expected, LOWEST), rtol=1e-5, atol=1e-6)


def test_raw_texts_are_scored_as_in_python(ranking, rank_texts):
    answers = rank_texts(TEXT_QUESTIONS.values())
    histories, candidates = zip(*TEXT_QUESTIONS.values(), strict=True)
    expected = ranker_of(ranking.recommender).score_texts(histories, candidates)
    for row, (question, scores) in enumerate(zip(TEXT_QUESTIONS, expected, strict=True)):
        np.testing.assert_allclose(answers[row, : len(scores)], scores, 1e-4, 1e-5, err_msg=question)
        assert (answers[row, len(scores) :] == LOWEST).all(), question
    assert np.isfinite(answers).all()
    by_name = dict(zip(TEXT_QUESTIONS, answers, strict=True))
    written = by_name["a history"][:2]
    assert (by_name["blanks"][[0, 2]] == LOWEST).all()
    assert (written > LOWEST).all()
    assert (by_name["hostile"] > LOWEST).all()  # texts of which something is left, whatever it is
    assert np.ptp(by_name["hostile"]) > 1e-5


def test_texts_do_not_see_each_other(rank_texts):
    together = rank_texts(TEXT_QUESTIONS.values(), width=9)
    for row, question in enumerate(TEXT_QUESTIONS.values()):
        alone = rank_texts([question])[0]
        np.testing.assert_allclose(alone, together[row, : len(alone)], rtol=1e-4, atol=1e-5)


def test_blanks_leave_no_trace_in_a_history(rank_texts):
    candidates = ["Title of item2", "another film"]
    plain, spaced = (
        rank_texts([(history, candidates)])
        for history in (["a film", "Title of item1"], ["", "a film", " ", "Title of item1", ""])
    )
    np.testing.assert_allclose(spaced, plain, rtol=1e-5, atol=1e-6)


EMPTY = np.empty((0, 0), object)


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("rank", {"user_id": [], "history": EMPTY, "candidate_item_ids": EMPTY}),
        ("rank_ids", {"user": [], "history": np.empty((0, 4)), "candidates": np.empty((0, 0))}),
        ("rank_texts", {"history_texts": EMPTY, "candidate_texts": EMPTY}),
        ("rank_texts", {"history_texts": EMPTY, "candidate_texts": np.empty((0, 3), object)}),
    ],
)
def test_an_empty_batch(runtime, ranking, signature, inputs):
    scores = runtime.run(ranking.path, signature, **inputs)["scores"]
    assert scores.shape == (0, np.shape([*inputs.values()][-1])[1])


def test_no_candidates(runtime, ranking):
    none = np.empty((2, 0), object)
    by_id = runtime.run(ranking.path, "rank", user_id=["用户3", ""], history=none, candidate_item_ids=none)
    by_index = runtime.run(ranking.path, "rank_ids", user=[1, 0], history=[[1, 0, 0, 0]] * 2, candidates=none)
    by_text = runtime.run(ranking.path, "rank_texts", history_texts=[["a"], [""]], candidate_texts=none)
    assert [answer["scores"].shape for answer in (by_id, by_index, by_text)] == [(2, 0)] * 3


def test_only_so_many_candidates_are_scored(bert_ranker, runtime, monkeypatch, tmp_path):
    for module in (binding, text_ranker):
        monkeypatch.setattr(module, "MAX_CANDIDATES", 3)
    servable = Servable(bert_ranker.recommender, 5)
    found = {name: one for name, one in servable.signatures().items() if name.startswith("rank")}
    tf.saved_model.save(servable, str(tmp_path), signatures=found)
    whole = {
        "rank": {"user_id": ["用户3"], "history": [["item1"]], "candidate_item_ids": [ITEMS[:5]]},
        "rank_ids": {"user": [0], "history": [[1, 2, 0, 0]], "candidates": [[3, 4, 5, 6, 7]]},
        "rank_texts": {"history_texts": [["a film"]], "candidate_texts": [["a", "b", "c", "d", "e"]]},
    }
    for name, inputs in whole.items():
        cut, all_of_them = (runtime.run(path, name, **inputs)["scores"][0] for path in (tmp_path, bert_ranker.path))
        assert (all_of_them > LOWEST).all()
        np.testing.assert_allclose(cut[:3], all_of_them[:3], rtol=1e-5, atol=1e-6)
        assert cut[3:].tolist() == [LOWEST] * 2


def test_a_cascade_recommends_what_it_retrieves(runtime, cascade):
    """Under both names, for clients that ask any model for `retrieve`."""
    asked = {"user_id": ["用户3", ""], "history": [[""], ["item1"]], "exclude_item_ids": [["item2"], [""]]}
    in_indices = {"user": [1, 0], "history": [[1, 2, 0, 0], [0] * 4], "exclude": [[3], [0]]}
    for names, inputs in ((("retrieve", "recommend"), asked), (("retrieve_ids", "recommend_ids"), in_indices)):
        one, other = (runtime.run(cascade.path, name, **inputs) for name in names)
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(other[name], values)


def test_candidates_are_sought_among_what_is_not_excluded(runtime, cascade):
    """All of the best are excluded, also by long histories, and the ranker has as many candidates as ever."""
    recommender = cascade.recommender
    best = recommender.recommend([""], [["item1"]], k=6)["item_id"].tolist()
    inputs = {"user_id": [""], "history": [["item1"]], "exclude_item_ids": [best]}
    answer = runtime.run(cascade.path, "recommend", **inputs)
    table = recommender.recommend([""], [["item1"]], k=99, exclude=[best])
    assert answer["item_ids"][0, : len(table)].tolist() == table["item_id"].tolist()
    np.testing.assert_allclose(answer["scores"][0, : len(table)], table["score"], rtol=1e-5, atol=1e-6)
    history = recommender.fitted_data.items.lookup(["item1"])
    read, hidden = np.array([[*history, 0, 0, 0]]), recommender.fitted_data.items.lookup([*best, "item1"])[None]
    unaware = recommender.score(np.zeros(1, np.int32), read, exclude=np.zeros((1, 1), np.int32)).numpy()[0]
    aware = recommender.score(np.zeros(1, np.int32), read, exclude=hidden).numpy()[0]
    assert not np.allclose(unaware, aware)


def test_the_card_and_the_warm_up_know_what_is_ranked(ranking):
    card = (ranking.path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    section = card.split("### rank\n")[1].split("##")[0]
    assert "| in | `candidate_item_ids` | string | [B, ?] |" in section
    assert "| out | `scores` | float32 | [B, ?] |" in section
    assert f"those after the {binding.MAX_CANDIDATES:,}th of a row" in section
    assert "| in | `candidate_texts` | string | [B, ?] |" in card.split("### rank_texts\n")[1].split("##")[0]
    logs = [PredictionLog.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(ranking.path / WARMUP_FILE))]
    requests = [log.predict_log.request for log in logs]
    fitted_data = ranking.recommender.fitted_data
    kinds = {"candidate_item_ids": fitted_data.items.tokens[1:], "candidate_texts": fitted_data.titles[1:]}
    for signature, name in (("rank", "candidate_item_ids"), ("rank_texts", "candidate_texts")):
        asked = [request for request in requests if request.model_spec.signature_name == signature]
        given = [tf.make_ndarray(request.inputs[name]) for request in asked]
        assert [array.shape for array in given] == [(rows, 2) for rows in CPU.batch_sizes]
        assert {one.decode() for array in given for one in array.flat} <= set(kinds[name])
