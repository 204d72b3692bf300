"""MkDocs hook: add notebooks and project files that stay outside docs/ to the site."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

FILES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "tutorials/README.md": "tutorials/index.md",
    "benchmarks/results/multi_task-ml-latest-small.png": "benchmarks/multi_task-ml-latest-small.png",
}
"""Paths on the site by path in the repository."""


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the tutorials as they are, and other files under their path on the site."""
    root = Path(config.config_file_path).parent
    for notebook in sorted(root.glob("tutorials/*.ipynb")):
        name = notebook.relative_to(root).as_posix()
        files.append(File(name, str(root), config.site_dir, config.use_directory_urls))
    for path, name in FILES.items():
        files.append(File.generated(config, name, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links of a file at the repository's root relative to docs/."""
    return markdown.replace("](docs/", "](") if page.file.src_uri in FILES.values() else markdown
