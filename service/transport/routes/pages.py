"""The user's page, the console, and the browser client they are made of."""

from importlib import resources
from pathlib import Path as FilePath

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from service.contract import Path


def mount(api: FastAPI, *, docs: bool) -> None:
    """Serve the pages and their files; nothing here needs a credential to be read."""
    web = FilePath(str(resources.files("service"))) / "web"
    pages = {
        Path.USER_PAGE: web / "user" / "index.html",
        Path.CONSOLE: web / "console" / "index.html",
    }
    if docs:
        pages[Path.DOCS] = web / "docs" / "index.html"
    for path, file in pages.items():
        _page(api, path, file)
    api.mount(Path.STATIC, StaticFiles(directory=web))


def _page(api: FastAPI, path: str, file: FilePath) -> None:
    @api.get(path, include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(file, media_type="text/html; charset=utf-8")
