"""What tests read in a page: its links, what it loads, its tables, and whether it keeps to its policy."""

import re
from html.parser import HTMLParser

from httpx2 import Response

#: What a browser sends.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Page(HTMLParser):
    """A page that was parsed.

    Attributes:
        loaded: The addresses of what it loads.
        linked: The addresses that it links to.
        forms: Of each form, the names of its fields.
        cells: The texts of the cells of its tables' rows.
        texts: All that it says, without scripts and styles.
        is_inline: Whether it has a script, a style or a handler of its own.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.forms: list[list[str]] = []
        self.cells: list[list[str]] = []
        self.is_inline = False
        self._texts: list[str] = []
        self._is_in_a_cell = False
        self.feed(text)

    @property
    def texts(self) -> str:
        """All that it says, in one line."""
        return " ".join("".join(self._texts).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        for name, value in attributes:
            if name == "src" or (tag == "link" and name == "href"):
                self.loaded.append(value or "")
            elif name == "href":
                self.linked.append(value or "")
            self.is_inline |= name == "style" or name.startswith("on")
        self.is_inline |= tag == "style" or (tag == "script" and "src" not in values)
        match tag:
            case "form":
                self.forms.append([])
            case "input" if self.forms:
                self.forms[-1].append(values.get("name") or "")
            case "tr":
                self.cells.append([])
            case "td" | "th" if self.cells:
                self.cells[-1].append("")
                self._is_in_a_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_in_a_cell = False

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
        if self._is_in_a_cell:
            self.cells[-1][-1] += data


def read(response: Response) -> Page:
    """A page, after what holds for every page: it loads nothing from elsewhere, and its policy allows nothing else."""
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"]
    directives = dict(each.split(maxsplit=1) for each in policy.split("; "))
    assert directives["default-src"] == "'none'"
    for kind in ("script", "worker", "style", "connect"):
        assert directives[f"{kind}-src"] == "'self'"
    assert "unsafe" not in policy
    page = Page(response.text)
    assert not page.is_inline
    assert [each for each in page.loaded if re.match("(?!data:)[a-z]+:|//", each)] == []
    assert '<html lang="en">' in response.text and response.text.count("<h1") == 1
    return page
