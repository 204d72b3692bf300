"""Commands for the life cycle of a version."""

import pytest

from tfllmrec.export import export


@pytest.fixture(scope="module")
def exports(shared_fits, tmp_path_factory):
    """Two versions of a model."""
    folder = tmp_path_factory.mktemp("exports") / "films"
    return [export(shared_fits("popularity"), folder) for _ in range(2)]


def test_version_lifecycle(run, exports, tmp_path):
    films = tmp_path / "models" / "films"
    for version, labels in zip(exports, ["stable 1\n", "stable 1, canary 2\n"], strict=True):
        expected = (0, f"{films / version.name}\n", labels)
        assert run("publish", version, "--repository", films.parent) == expected
        assert run("publish", films / version.name) == expected
    assert run("promote", films) == (0, "stable 2, previous 1\n", "")
    assert run("rollback", films) == (0, "stable 1\n", "")
    assert run("prune", films, "--keep", 1) == (0, "removed: none\n", "")
    assert run("rollback", films, "--canary")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["publish", "{tmp}/1"], "is not a folder"),
        (["promote", "{tmp}/films"], "is not a model repository"),
        (["prune", "{tmp}/films"], "is not a model repository"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(run, tmp_path, arguments, message):
    status, stdout, stderr = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert (status, stdout) == (2, "")
    assert message in stderr
    assert len(stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
