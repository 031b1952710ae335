"""The built site: every link leads somewhere, and nothing is loaded from another machine.

`nox -s site` builds it and runs these.
"""

from pathlib import Path

import pytest
from site_pages import Page, dead_links, foreign_loads, misspelt_links, read_pages

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    """Read the site that was just built."""
    return read_pages(ROOT / "site")


def test_every_document_is_a_page(pages: dict[Path, Page]) -> None:
    """Each Markdown file of `docs` became a page."""
    documents = {path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(ROOT / "site") for path in pages}
    assert {path.with_suffix(".html") for path in documents} <= built


def test_no_link_is_dead(pages: dict[Path, Page]) -> None:
    """Every link within the site leads to a file and, if it names one, to a place in it."""
    assert list(dead_links(pages)) == []


def test_nothing_comes_from_elsewhere(pages: dict[Path, Page]) -> None:
    """A reader without a network sees the same."""
    assert list(foreign_loads(pages)) == []


def test_links_to_elsewhere_are_well_formed(pages: dict[Path, Page]) -> None:
    """Nobody is asked whether they answer."""
    assert list(misspelt_links(pages)) == []


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    """Each of the checks above sees a page that breaks its rule."""
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#end">b</a><a href="#top">a</a><a href="#none">?</a>'
        '<a href="none.html">?</a><a href="https://example.org/x">fine</a>'
        '<a href="http://example.org">plain</a><a href="https://nowhere">no dot</a>'
        '<script src="https://cdn.example.org/x.js"></script><link href="none.css">'
    )
    (tmp_path / "b.html").write_text('<p id="end"><img src="data:image/png;base64,AA"></p>')
    pages = read_pages(tmp_path)
    assert list(dead_links(pages)) == [
        "a.html: `#none` names no place on that page",
        "a.html: `none.html` leads to no file",
        "a.html: `none.css` leads to no file",
    ]
    assert list(foreign_loads(pages)) == ["a.html: loads `https://cdn.example.org/x.js`"]
    assert list(misspelt_links(pages)) == [
        "a.html: `http://example.org` is no address",
        "a.html: `https://nowhere` is no address",
    ]


def test_a_site_without_pages_is_none(tmp_path: Path) -> None:
    """An empty directory does not pass for a site."""
    with pytest.raises(FileNotFoundError) as refused:
        read_pages(tmp_path)
    assert str(refused.value) == f"`{tmp_path}` holds no page: build it with `make docs`"
