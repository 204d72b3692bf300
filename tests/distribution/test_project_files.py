"""The files that describe the project to GitHub and to package indexes."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import tfllmrec
from tfllmrec_client.version import __version__

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
CLIENT = ROOT / "serving" / "clients" / "python"


def project(folder):
    """Return the `project` table of a folder's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


ADDRESS = project(ROOT)["urls"]["Repository"]
OWNER, NAME = ADDRESS.removeprefix("https://github.com/").split("/")
PAGES = f"https://{OWNER}.github.io/{NAME}/"


def tracked_texts():
    """Yield name and text of every text file in the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            yield name, content.decode()


def check_schema(schema, *files):
    """Check files against a schema that check-jsonschema ships."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-issue-forms", [GITHUB / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "feature.yml")]),
        ("github-issue-config", [GITHUB / "ISSUE_TEMPLATE" / "config.yml"]),
        ("dependabot", [GITHUB / "dependabot.yml"]),
        ("citation-file-format", [ROOT / "CITATION.cff"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_follow_their_schema(schema, files):
    assert files
    check_schema(schema, *files)


def test_the_script_of_ci_is_clean():
    subprocess.run([Path(sys.executable).parent / "shellcheck", ROOT / ".ci" / "run"], check=True)


def workflow(name):
    """Return a workflow; YAML reads its key `on` as True."""
    content = yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    return content | {"on": content[True]}


def commands(job):
    """Return the shell commands of a job, joined."""
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_ci_runs_the_script_of_the_repository_on_every_supported_python():
    job = workflow("ci")["jobs"]["checks"]
    assert "bash .ci/run" in commands(job)
    supported = {line.removeprefix("Programming Language :: Python :: ") for line in project(ROOT)["classifiers"]}
    assert set(job["strategy"]["matrix"]["python"]) == {version for version in supported if version.startswith("3.")}


def test_only_the_publishing_job_may_ask_for_an_identity():
    release = workflow("release")
    assert release["permissions"] == {"contents": "read"}
    assert release["on"] == {"push": {"tags": ["v*"]}}
    assert {name for name, job in release["jobs"].items() if "permissions" in job} == {"publish"}
    publish = release["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"]["name"] == "pypi"
    assert set(publish["needs"]) == release["jobs"].keys() - {"publish"}
    assert not re.search(r"secrets\.", (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_have_least_permissions_and_time_limits(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job or "uses" in job for job in content["jobs"].values())


def test_the_version_has_one_source():
    assert tfllmrec.__version__ == __version__
    for folder in (ROOT, CLIENT):
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        assert project(folder)["dynamic"] == ["version"]
        assert tomllib.loads(text)["tool"]["setuptools"]["dynamic"]["version"] == {
            "attr": "tfllmrec_client.version.__version__"
        }
        assert __version__ not in text


def test_every_mention_of_the_repository_has_its_address():
    mentions = r"github(?:usercontent)?(?:\.com)?[/:]([\w.-]+)/tfllmrec\b|([\w-]+)\.github\.io/tfllmrec\b"
    wrong = [
        f"{path}: {match[0]}"
        for path, text in tracked_texts()
        for match in re.finditer(mentions, text)
        if (match[1] or match[2]) != OWNER
    ]
    assert not wrong
    for urls in (project(ROOT)["urls"], project(CLIENT)["urls"]):
        assert urls["Repository"] == ADDRESS
        assert all(url.startswith((ADDRESS, PAGES)) for url in urls.values())


def test_links_into_the_repository_lead_to_its_files():
    links = rf"{OWNER}/{NAME}/(?:blob/|tree/|raw/)?main/([^\s\"')>\]#?]+)"
    links_by_file = {(path, link) for path, text in tracked_texts() for link in re.findall(links, text)}
    assert links_by_file
    assert not [(path, link) for path, link in links_by_file if not (ROOT / link).exists()]


def test_the_command_of_the_readme_is_what_ci_runs():
    command = 'python -m pip install -e ".[dev]" && python -m pytest'
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        lines = [line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
        assert command in lines, name
