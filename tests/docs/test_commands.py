"""Commands, options, flags and links in the documents exist."""

import re
import shlex
from dataclasses import fields
from itertools import pairwise

import pytest
import typer
from docs.pages import ROOT

from tfllmrec import cli
from tfllmrec.models.registry import FAMILIES, model_class

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
COMMANDS = typer.main.get_command(cli.app.app).commands
_CHANGELOG = ROOT / "CHANGELOG.md"  # has old names


def command_lines(document):
    """Return the `tfllmrec` commands of a document, with continuation lines joined."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^ {4,}(?:.* && )?(tfllmrec .*)$|`(tfllmrec [^`]*)`", text, re.MULTILINE)
    return [indented or inline for indented, inline in commands]


LINES = [
    pytest.param(line, id=f"{document.relative_to(ROOT).as_posix()}: {line[:40]}")
    for document in DOCUMENTS
    if document != _CHANGELOG
    for line in dict.fromkeys(command_lines(document))
]


@pytest.mark.parametrize("line", LINES)
def test_commands_and_their_options_exist(line):
    name, *arguments = shlex.split(line.removeprefix("tfllmrec "), comments=True)
    if name.startswith("-"):
        return
    options = {option for parameter in COMMANDS[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
    flags = {argument.partition("=")[0] for argument in arguments if re.match(r"--?\w", argument)}
    assert flags <= options | {"--help"}


@pytest.mark.parametrize("line", [line for line in LINES if " --set " in line.values[0]])
def test_options_of_families_exist(line):
    arguments = shlex.split(line.removeprefix("tfllmrec "), comments=True)
    if arguments[0] != "train" or arguments[1] not in FAMILIES:
        return
    known = {field.name for field in fields(model_class(arguments[1]).config_class)}
    names = {after.partition("=")[0] for before, after in pairwise(arguments) if before == "--set"}
    assert names <= known


def test_all_flags_of_the_server_are_described():
    text = (ROOT / "docs" / "serving" / "flags.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(--\w+)`", text, re.MULTILINE))
    flags = {option for parameter in COMMANDS["serve"].params for option in parameter.opts if option.startswith("--")}
    assert described == flags
    assert not flags & set(re.findall(r"--\w+", text.partition("## Flags that are refused")[2]))


def test_all_families_have_a_page():
    pages = {page.stem for page in (ROOT / "docs" / "models").glob("*.md")}
    assert pages == {*FAMILIES, "index"}


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *ROOT.glob("*/README.md")], ids=lambda path: path.name)
def test_links_between_files_exist(document):
    """mkdocs checks the links inside docs/."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).split()) <= 700
