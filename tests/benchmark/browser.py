"""Open a page in headless Chromium and ask it what it sees."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0"),
    *("--virtual-time-budget=20000", "--dump-dom"),
)

PROBE = """
<script>
addEventListener("load", () => {
  const images = [...document.images];
  document.body.dataset.seen = JSON.stringify({
    widths: images.map(image => image.naturalWidth),
    overflow: document.documentElement.scrollWidth - innerWidth,
    requests: performance.getEntriesByType("resource")
      .map(entry => entry.name).filter(name => !name.startsWith("data:")),
  });
});
</script>
"""


def look(page: str, folder: Path, width: int = 1200) -> dict[str, Any]:
    """What the page is like in a window of ``width`` pixels.

    Returns:
        ``widths`` of its pictures, ``overflow`` of the page over the window in pixels,
        ``requests`` beyond the page itself, ``errors`` on the console.
    """
    assert BROWSER is not None
    file = folder / "page.html"
    file.write_text(page.replace("</body>", PROBE + "</body>"), "utf-8")
    process = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},900",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
    )
    found = re.search(r'data-seen="([^"]*)"', process.stdout)
    assert found, process.stderr[-2000:]
    # Of several processes' lines only those of the page's console are meant.
    errors = re.findall(r"CONSOLE[:(].*", process.stderr)
    return {**json.loads(html.unescape(found[1])), "errors": errors}
