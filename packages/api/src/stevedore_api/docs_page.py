"""Swagger at `/docs` without a network: its three files come from an installed package.

Each file has a route of its own; no path of a request ever names a file.
"""

from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html

__all__ = ["docs_router"]

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}


def docs_router(title: str) -> APIRouter:
    """Return the routes of the documentation page."""
    router = APIRouter(include_in_schema=False)
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=title,
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # the default asks a public server
    )

    @router.get("/docs")
    async def docs() -> Response:
        return page

    for name, media_type in _ASSETS.items():
        _add_asset(router, name, media_type)
    return router


def _add_asset(router: APIRouter, name: str, media_type: str) -> None:
    @router.get(f"/docs/{name}", name=name)
    async def asset() -> Response:
        content = (files("fastapi_offline") / "static" / name).read_bytes()
        return Response(content, media_type=media_type, headers={"cache-control": "max-age=86400"})
