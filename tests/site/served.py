"""A folder behind a web server, and what headless Chromium sees of its pages."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.benchmark.browser import BROWSER, FLAGS

# Tells the server what the page is like when its pictures and search results are there.  Until
# then the last picture keeps the page loading, and the browser from taking its picture of it.
PROBE = b"""
<img src="/hold" hidden>
<script>
const search = new URLSearchParams(location.search).has("q");
const timer = setInterval(() => {
  const images = [...document.images].filter(image => !image.src.endsWith("/hold"));
  const results = document.querySelectorAll(".md-search-result__item");
  if (document.readyState === "loading" || !images.every(image => image.complete)) return;
  if (search && !results.length) return;
  clearInterval(timer);
  fetch("/seen", {method: "POST", body: JSON.stringify({
    widths: images.map(image => image.naturalWidth),
    overflow: document.documentElement.scrollWidth - innerWidth,
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
    results: [...results].map(result => result.textContent),
  })});
}, 100);
</script></body>"""


@dataclass
class Site:
    """A served folder."""

    address: str
    seen: dict[str, Any] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    def look(self, page: str, folder: Path, width: int = 1200) -> dict[str, Any]:
        """What a page is like in a window of ``width`` pixels.

        Returns:
            ``widths`` of its pictures, ``overflow`` of the page over the window in pixels,
            ``requests``, ``results`` of a search (``?q=``), ``errors`` on the console, and the file
            ``picture`` of it.
        """
        self.seen.clear()
        self.done.clear()
        name = re.sub(r"\W+", "-", f"{page} {width}")
        picture = folder / f"{name}.png"
        flags = [flag for flag in FLAGS if not flag.startswith(("--virtual", "--dump"))]
        process = subprocess.run(
            [
                str(BROWSER),
                *flags,
                f"--screenshot={picture}",
                f"--user-data-dir={folder / 'profile'}",
                f"--window-size={width},1000",
                f"{self.address}/{page}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert self.seen, process.stderr[-2000:]
        errors = re.findall(r"CONSOLE[:(].*", process.stderr)
        return {**self.seen, "errors": errors, "picture": picture}


@contextmanager
def served(folder: Path) -> Iterator[Site]:
    """Serve a folder on the loopback device, with the probe in each page."""
    site = Site("")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            file = Path(self.translate_path(self.path))
            if self.path == "/hold":
                site.done.wait(60)
                self.send_response(204)
                self.end_headers()
            elif file.suffix == ".html" and file.is_file():
                content = file.read_bytes().replace(b"</body>", PROBE)
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            else:
                super().do_GET()

        def do_POST(self) -> None:
            site.seen.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            site.done.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    site.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
