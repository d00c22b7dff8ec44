"""The page of `saev view` in a real browser."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from saev.serving.server import GalleryServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

DROP = """([files, kind]) => {
  const carried = new DataTransfer();
  for (const [base64, name] of files) {
    const bytes = typeof base64 === "number"
      ? new Uint8Array(base64) : Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    carried.items.add(new File([bytes], name));
  }
  const target = document.querySelector("main:not([hidden])");
  if (kind === "paste") {
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }));
    return;
  }
  for (const type of ["dragover", "drop"]) {
    const event = new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true });
    target.dispatchEvent(event);
    if (!event.defaultPrevented) throw new Error(`the browser would open the file at ${type}`);
  }
}"""


@dataclass
class Served:
    """An open page, and what it complained of."""

    page: "Page"
    server: GalleryServer
    name: str
    complaints: list[str] = field(default_factory=list)

    def drop(self, data: bytes | int, name: str, kind: str = "drop") -> None:
        """Drop a file with this content, or of so many bytes."""
        self.drop_all([(data, name)], kind)

    def drop_all(self, files: Sequence[tuple[bytes | int, str]], kind: str = "drop") -> None:
        """Drop files, each its content or so many bytes, and its name."""
        sent = [[data if isinstance(data, int) else base64.b64encode(data).decode(), name] for data, name in files]
        self.page.evaluate(DROP, [sent, kind])

    def count(self, selector: str, count: int) -> None:
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(count)

    def says(self, selector: str, text: str) -> None:
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_contain_text(text)
