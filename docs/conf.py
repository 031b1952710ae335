"""How the documentation site is built: `make docs`. Called by Sphinx with the repository as source.

Pages stay plain Markdown that reads well without a site. Nothing is fetched, neither while building
nor while reading: theme, fonts and scripts come from the packages that are locked.
"""

# ruff: noqa: INP001  # Sphinx reads it by its path

import re
from typing import Any

project = "ML-Py-Stevedore"
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "models/*/README.md",
]
exclude_patterns = ["**/.*", "**/templates", "**/node_modules", "dist", "site"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
myst_linkify_fuzzy_links = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"

html_theme = "furo"
html_title = project
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_additional_pages = {"index": "start.html"}
templates_path = ["templates"]
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["static"]
html_css_files = ["tables.css"]
toc_object_entries_show_parents = "hide"


def setup(app: Any) -> None:
    """Have docstrings and signatures read as they are written (called by Sphinx)."""
    app.connect("autodoc-process-docstring", _quote_code, priority=1)
    app.connect("autodoc-process-signature", _name_json)


def _quote_code(*event: Any) -> None:
    """Make code of what stands in single backticks."""
    lines: list[str] = event[-1]
    lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def _name_json(*event: Any) -> tuple[str | None, str | None]:
    """Write `Json` where Sphinx spells out what a JSON value may be, and what is in that."""
    spelled = "bool | int | float | str | list[Json] | dict[str, Json] | None"
    arguments, result = (
        part and part.replace(spelled, "Json").replace(spelled, "Json") for part in event[-2:]
    )
    return arguments, result
