"""The command check: the table, JSON and exit statuses."""

import json
import subprocess
import sys

import pytest


def write_interactions(folder, *lines):
    """Write interactions of three users with the same three items, and further lines."""
    rows = [
        f"{user},{item},{1_704_067_200 + step}" for user in ("ann", "bob", "cat") for step, item in enumerate("xyz")
    ]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows, *lines, ""]))
    return folder


def test_a_clean_folder(run, tmp_path):
    assert run("check", write_interactions(tmp_path)) == (0, "9 interactions, 3 users, 3 items: nothing odd\n", "")


@pytest.mark.parametrize("columns", [60, 120])
def test_findings_fit_the_terminal(run, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    long_id = "0123456789" * 6
    folder = write_interactions(tmp_path, f"{long_id},x,1704067200")
    status, stdout, stderr = run("check", folder)
    assert (status, stderr) == (1, "")
    assert stdout.startswith("10 interactions, 4 users, 3 items: 1 finding\n")
    assert "short histories" in stdout
    assert "1 user (25.0 %)" in stdout
    assert max(map(len, stdout.splitlines())) <= columns
    assert long_id in "".join(line[28:].strip() for line in stdout.splitlines())  # nothing is cut off


def test_json(run, tmp_path):
    status, stdout, _ = run("check", write_interactions(tmp_path, "dan,x,1704067200"), "--json")
    report = json.loads(stdout)
    assert status == 1
    assert report["summary"]["interactions"] == 10
    (finding,) = report["findings"]
    assert (finding["name"], finding["count"], finding["unit"], finding["share"]) == (
        "short histories",
        1,
        "users",
        0.25,
    )
    assert (finding["examples"], finding["refused"]) == (["'dan' (1 row)"], False)


def test_tables_that_training_refuses(run, tmp_path):
    write_interactions(tmp_path, "dan,x,soon")
    status, stdout, stderr = run("check", tmp_path)
    assert (status, stderr) == (2, "")
    assert "training refuses this" in stdout
    assert "row 9: 'soon'" in stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is not a data set"),
        ("", "interactions.csv cannot be read"),
        ("user_id,item_id,timestamp\n", "interactions: the table has no rows"),
        ("user_id,item_id\nu,i\n", "column timestamp is missing; the table has user_id, item_id"),
        ("user_id,item_id,timestamp\nu,i,1\nu,i\n", "interactions.csv cannot be read"),
    ],
)
def test_folders_without_readable_tables_are_refused_in_one_sentence(run, tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "interactions.csv").write_text(text)
    status, stdout, stderr = run("check", tmp_path)
    assert (status, stdout) == (2, "")
    assert sentence in stderr
    assert stderr.count("\n") == 1


def test_the_command_does_not_import_tensorflow(tmp_path):
    program = (
        f"import sys; sys.argv = ['tfllmrec', 'check', {str(write_interactions(tmp_path))!r}]\n"
        "import tfllmrec.cli\n"
        "try: tfllmrec.cli.main()\n"
        "finally: assert not {'tensorflow', 'keras'} & {*sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
