"""The page at /: a picture of the line for whoever looks at it with a browser. Its files are in this folder, and need no others.

It asks /status, and /history for the time before it was opened, as any other client may.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
FILES = {"/": "index.html"} | {
    f"/{name}": name for name in ("page.css", "page.js", "dom.js", "line.js", "plot.js")
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: nothing from elsewhere, nothing inline, no frame of somebody else's around it."""


@cache
def asset(path: str) -> tuple[str, bytes] | None:
    """The content type and the bytes of a file of the page; None: it has no such file."""
    name = FILES.get(path)
    if name is None:
        return None
    return TYPES[name.rpartition(".")[2]], files(__name__).joinpath(name).read_bytes()
