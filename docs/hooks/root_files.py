"""MkDocs hook: add notebooks and project files that stay outside docs/ to the site."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "tutorials/README.md": "tutorials/index.md"}
"""Pages of the site by their path in the repository."""


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the tutorials as they are, and pages under their name on the site."""
    root = Path(config.config_file_path).parent
    for notebook in sorted(root.glob("tutorials/*.ipynb")):
        name = notebook.relative_to(root).as_posix()
        files.append(File(name, str(root), config.site_dir, config.use_directory_urls))
    for path, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(root / path)))
    return files
