"""The format number of an export: written, checked by `refresh`, absent from older exports."""

import json
import shutil

import pandas as pd
import pytest
from small_data import small_data

import tfllmrec
from tfllmrec.errors import InputError
from tfllmrec.export import export, refresh
from tfllmrec.export.checksums import check_checksums
from tfllmrec.export.format import FORMAT_FILE, check_format

NEW = pd.DataFrame({"item_id": ["new"], "title": ["Title of item9"]})


@pytest.fixture(scope="module")
def recommender():
    options = {"dim": 8, "neighbours": False, "phrases": False, "min_count": 1, "epochs": 1, "history_length": 4}
    return tfllmrec.Word2Vec(**options).fit(small_data(), verbose=0)


@pytest.fixture(scope="module")
def exported(recommender, tmp_path_factory):
    return export(recommender, tmp_path_factory.mktemp("models"))


@pytest.fixture
def version(exported, tmp_path):
    """A copy of an export that a test may change."""
    return shutil.copytree(exported, tmp_path / "films" / "1")


def test_an_export_has_format_1(exported):
    assert json.loads((exported / FORMAT_FILE).read_text()) == {"format": 1}
    check_format(exported)
    check_checksums(exported)


def test_an_export_without_a_number_is_refreshed(recommender, version):
    (version / FORMAT_FILE).unlink()
    refreshed = refresh(recommender, version.parent, NEW)
    assert refreshed == version.parent / "2"
    assert json.loads((refreshed / FORMAT_FILE).read_text()) == {"format": 1}


@pytest.mark.parametrize(("number", "remedy"), [(0, "export it again"), (2, "upgrade tfllmrec, or export it again")])
def test_another_format_is_refused(recommender, version, number, remedy):
    (version / FORMAT_FILE).write_text(json.dumps({"format": number}))
    with pytest.raises(InputError) as error:
        refresh(recommender, version.parent, NEW)
    assert str(error.value) == f"{version} has format {number}; this version of tfllmrec reads format 1: {remedy}"
    assert [path.name for path in version.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[]", b"{}", b"1"])
def test_a_damaged_number_is_refused(version, content):
    (version / FORMAT_FILE).write_bytes(content)
    with pytest.raises(InputError, match=r"1: assets.extra/export.json is damaged: copy or export the version again$"):
        check_format(version)
