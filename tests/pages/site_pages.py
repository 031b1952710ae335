"""The pages of a built site, and what is wrong with their links. Called by `test_pages`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

LOADED: Final = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "use": "href",
}
"""What a browser fetches by itself, by the tag and the attribute that names it."""


@dataclass(kw_only=True, slots=True)
class Page:
    """What one page links to, loads, and can be linked to by."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.page.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if (attribute := LOADED.get(tag)) in given and given.get("rel") not in {"next", "prev"}:
            self.page.loads.append(given[str(attribute)])


def read_pages(site: Path) -> dict[Path, Page]:
    """Return every page below `site`. Finding none is an error."""
    pages = {}
    for file in sorted(site.rglob("*.html")):
        reader = _Reader()
        reader.feed(file.read_text(encoding="utf-8"))
        pages[file.resolve()] = reader.page
    if not pages:
        raise FileNotFoundError(f"`{site}` holds no page: build it with `make docs`")
    return pages


def dead_links(pages: dict[Path, Page]) -> Iterator[str]:
    """Yield each link to a page, file or anchor that is not there."""
    for file, page in pages.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file():
                yield f"{file.name}: `{link}` leads to no file"
            elif parts.fragment and not _has(pages.get(target), unquote(parts.fragment)):
                yield f"{file.name}: `{link}` names no place on that page"


def _has(page: Page | None, anchor: str) -> bool:
    """Tell whether a page has a place of that name; of a file that is no page nobody knows."""
    return page is None or anchor in page.anchors


def foreign_loads(pages: dict[Path, Page]) -> Iterator[str]:
    """Yield whatever a page would fetch from another machine."""
    for file, page in pages.items():
        for load in page.loads:
            parts = urlsplit(load)
            if parts.netloc or parts.scheme not in {"", "data"}:
                yield f"{file.name}: loads `{load}`"


def misspelt_links(pages: dict[Path, Page]) -> Iterator[str]:
    """Yield each link to another machine that is not a plain address; none of them is asked."""
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if (parts.scheme or parts.netloc) and not _is_plain(parts):
                yield f"{file.name}: `{link}` is no address"


def _is_plain(parts: SplitResult) -> bool:
    """Tell whether it is HTTPS to a host with a dot, or HTTP to this machine."""
    host = parts.hostname or ""
    if parts.username or " " in parts.geturl():
        return False
    if parts.scheme == "http":
        return host in {"127.0.0.1", "localhost"}
    return parts.scheme == "https" and "." in host.strip(".")
