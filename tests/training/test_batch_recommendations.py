"""Recommendations for all users: the parts, the manifest, and calls that are killed at any step and made again."""

import json
from itertools import count
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tfllmrec.data import checkerboard
from tfllmrec.errors import InputError
from tfllmrec.evaluation import blocks
from tfllmrec.files import file_digest, file_digests
from tfllmrec.training import batch_recommendations
from tfllmrec.training.batch_recommendations import recommend_all
from tfllmrec.training.runs import Run, Source, train

K = 3


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The folder of a run. Tests do not change it."""
    folder = tmp_path_factory.mktemp("runs")
    checkerboard().data.to_folder(folder / "data")
    train("markov_chain", Source.of(str(folder / "data")), {}).save(folder / "run")
    return folder / "run"


@pytest.fixture(autouse=True)
def small_parts(fitted, monkeypatch):
    """Blocks of 7 users and parts of 14, so that a part ends after two blocks."""
    items = len(Run.load(fitted).recommender.fitted_data.items)
    monkeypatch.setattr(blocks, "MOST_CELLS", 7 * (items + 1))
    monkeypatch.setattr(batch_recommendations, "_PART_RESULTS", 14 * K)


@pytest.fixture
def written(fitted, tmp_path):
    """Recommendations for all users."""
    recommend_all(fitted, tmp_path / "unbroken", k=K)
    return tmp_path / "unbroken"


def test_recommendations_are_those_of_recommend(fitted, written):
    recommender = Run.load(fitted).recommender
    users = list(recommender.fitted_data.users.tokens[1:])
    table = pq.read_table(written).to_pandas()
    assert list(table["user_id"]) == users
    rows = table.explode(["item_ids", "scores"]).reset_index(drop=True)
    expected = recommender.recommend(users, k=K)
    assert list(rows["user_id"]) == list(expected["user_id"])
    assert list(rows["item_ids"]) == list(expected["item_id"])
    assert list(rows["scores"]) == list(expected["score"])  # bit by bit


def test_users_without_items_left_have_empty_lists(tmp_path):
    rows = [("all", item, time) for time, item in enumerate("abc")] + [
        ("one", "a", 0),
        ("one", "b", 1),
        ("one", "a", 2),
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(folder / "interactions.csv", index=False)
    train("popularity", Source.of(str(folder)), {}, refit=True).save(tmp_path / "run")
    recommend_all(tmp_path / "run", tmp_path / "out", k=2)
    lists = dict(
        zip(*pq.read_table(tmp_path / "out").select(["user_id", "item_ids"]).to_pydict().values(), strict=True)
    )
    assert lists.keys() == {"all", "one"}
    assert "a" not in lists["one"]
    assert set(lists["all"]) <= {"c"}


def test_manifest(fitted, written):
    manifest = json.loads((written / "_manifest.json").read_text())
    users = len(Run.load(fitted).recommender.fitted_data.users)
    assert (manifest["format"], manifest["finished"], manifest["k"], manifest["users"]) == (1, True, K, users)
    assert [part["rows"] for part in manifest["parts"][:-1]] == [14] * (len(manifest["parts"]) - 1)
    assert sum(part["rows"] for part in manifest["parts"]) == users
    for part in manifest["parts"]:
        assert pq.read_metadata(written / part["file"]).num_rows == part["rows"]
        assert file_digest(written / part["file"]) == part["sha256"]
    assert {path.name for path in written.iterdir()} == {
        "_manifest.json",
        *(part["file"] for part in manifest["parts"]),
    }


def kill_at(monkeypatch, step):
    """Raise in the middle or after the writing, or before or after the renaming, with this number."""
    steps = count()

    def killed(function, written=None):
        def call(*arguments, **options):
            if next(steps) == step:
                if written is not None:
                    arguments[written].write_bytes(b"half")
                raise KeyboardInterrupt
            result = function(*arguments, **options)
            if next(steps) == step:
                raise KeyboardInterrupt
            return result

        return call

    monkeypatch.setattr(pq, "write_table", killed(pq.write_table, written=1))
    monkeypatch.setattr(Path, "write_text", killed(Path.write_text, written=0))
    for name in ("replace", "rename"):
        monkeypatch.setattr(Path, name, killed(getattr(Path, name)))


def test_a_call_that_is_killed_at_any_step_is_resumed(fitted, written, tmp_path, monkeypatch):
    expected, loaded = file_digests(written), Run.load(fitted)
    monkeypatch.setattr(Run, "load", lambda folder: loaded)  # is slower than all else
    for step in count():
        out = tmp_path / f"killed-{step}"
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            try:
                recommend_all(fitted, out, k=K)
            except KeyboardInterrupt:
                killed = True
            else:
                killed = False
        if not killed:
            break
        done = json.loads((out / "_manifest.json").read_text())["finished"] if out.exists() else False
        if not done:
            recommend_all(fitted, out, k=K)
        assert file_digests(out) == expected, step
    assert step > 8 * len(list(written.glob("*.parquet")))


def test_finished_parts_are_not_computed_again(fitted, written):
    manifest_path = written / "_manifest.json"
    manifest = json.loads(manifest_path.read_text())
    unfinished = manifest | {"parts": manifest["parts"][:2], "finished": False}
    manifest_path.write_text(json.dumps(unfinished))
    shown = []
    recommend_all(fitted, written, k=K, progress=lambda done, total: shown.append((done, total)))
    assert shown[:2] == [(28, manifest["users"]), (35, manifest["users"])]
    assert shown[-1] == (manifest["users"], manifest["users"])
    assert json.loads(manifest_path.read_text()) == manifest


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_damaged_parts_are_computed_again(fitted, written, damage):
    expected = file_digests(written)
    damage(written / "part-00001.parquet")
    recommend_all(fitted, written, k=K)
    assert file_digests(written) == expected


def test_folders_of_other_calls_are_refused(fitted, written, shared_fits, tmp_path):
    with pytest.raises(InputError, match="unbroken already has the recommendations of all users: choose another"):
        recommend_all(fitted, written, k=K)
    with pytest.raises(InputError, match="unbroken has recommendations for k 3: choose the same, or another folder"):
        recommend_all(fitted, written, k=K + 1)
    Run(shared_fits("popularity"), Source("data")).save(tmp_path / "other")
    with pytest.raises(InputError, match="unbroken has recommendations of another run: choose another folder"):
        recommend_all(tmp_path / "other", written, k=K)
    with pytest.raises(InputError, match="data exists and has no readable _manifest"):
        recommend_all(fitted, fitted.parent / "data", k=K)
    manifest = written / "_manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(InputError, match="has format 2; this version of tfllmrec reads format 1"):
        recommend_all(fitted, written, k=K)


def test_models_with_scenarios_need_one(shared_fits, fitted, tmp_path):
    recommender = shared_fits.scenarios()
    Run(recommender, Source("data")).save(tmp_path / "run")
    names = list(recommender.fitted_data.scenarios.tokens[1:])
    with pytest.raises(InputError, match=f"this multi_task reads a scenario; name one for all users, of {names[0]}"):
        recommend_all(tmp_path / "run", tmp_path / "out")
    with pytest.raises(InputError, match="unknown scenario 'radio'"):
        recommend_all(tmp_path / "run", tmp_path / "out", scenario="radio")
    with pytest.raises(InputError, match="does not read scenarios"):
        recommend_all(fitted, tmp_path / "out", scenario=names[0])
    with pytest.raises(InputError, match="k is 0"):
        recommend_all(fitted, tmp_path / "out", k=0)
    assert not (tmp_path / "out").exists()

    recommend_all(tmp_path / "run", tmp_path / "out", scenario=names[0], k=K)
    users = list(recommender.fitted_data.users.tokens[1:])
    expected = recommender.recommend(users, k=K, scenarios=names[:1] * len(users))
    rows = (
        pq.read_table(tmp_path / "out").to_pandas().explode(["item_ids", "scores"]).dropna()
    )  # users without items left
    assert list(rows["item_ids"]) == list(expected["item_id"])
    assert list(rows["scores"]) == list(expected["score"])
    assert json.loads((tmp_path / "out" / "_manifest.json").read_text())["scenario"] == names[0]
