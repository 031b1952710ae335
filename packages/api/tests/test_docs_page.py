"""Swagger at `/docs`, without a network."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from served_layout import Server

ASSETS = {
    "/docs/swagger-ui-bundle.js": "text/javascript",
    "/docs/swagger-ui.css": "text/css",
    "/docs/favicon.png": "image/png",
}


def test_the_page_asks_nobody_else(shared: Server) -> None:
    """Whatever the page loads comes from this server."""
    page = shared.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.findall(r"""["'(]\s*(?:https?:)?//""", page.text)
    loaded = set(re.findall(r'(?:src|href|url)["\']?\s*[=:]\s*["\']([^"\']+)["\']', page.text))
    assert loaded == {*ASSETS, "/openapi.json"}
    assert '"validatorUrl": null' in page.text


@pytest.mark.parametrize(("path", "media_type"), ASSETS.items())
def test_the_assets(shared: Server, path: str, media_type: str) -> None:
    """Each file has a route of its own, and may be kept for a day."""
    answer = shared.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.headers["cache-control"] == "max-age=86400"
    assert len(answer.content) > 500


def test_a_browser_shows_each_model(shared: Server, tmp_path: Path) -> None:
    """The page works in a browser: it lists every model's operations."""
    browser = shutil.which("chromium")
    if browser is None:
        assert os.environ.get("STEVEDORE_REQUIRE_ENGINE") != "1", "a browser is required here"
        pytest.skip("`chromium` is not installed")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
    finished = subprocess.run(
        [
            browser,
            *options,
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            f"{shared.url}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for name in ("one", "two", "own"):
        assert f'id="operations-{name}-predict_{name}"' in finished.stdout
    assert "Unable to render this definition" not in finished.stdout
