"""Turns documentation into plain text: HTML pages, and paragraphs wrapped at a fixed width."""
import html.parser
import re

# What a page repeats on every page, by class or id: menus, links to the next page, tables of contents
SKIPPED_CLASSES = {
    "docnav", "toc", "navheader", "navfooter", "indexterm", "sphinxsidebar", "related", "footer", "headerlink",
    "toctree-wrapper", "nosearch", "fancy_toc", "fancy_title_toc", "mobile-nav", "mobile_nav"}
SKIPPED_IDS = {"banner", "title", "toc", "footer", "searchmenu", "searchbox"}
SKIPPED_TAGS = {"head", "script", "style", "nav", "noscript", "svg", "form", "button", "select"}
VOID_TAGS = {"br", "hr", "img", "input", "link", "meta", "col", "area", "base", "wbr", "source", "embed", "param", "track"}
# Newlines around an element
BREAKS = dict.fromkeys((
    "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "table", "ul", "ol", "dl", "section", "article", "hr",
    "main", "body", "header"), 2)
BREAKS.update(dict.fromkeys(("li", "dt", "dd", "tr", "br", "caption"), 1))


class _Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.out = []
        self.newlines = 0           # owed before the next text
        self.space = False
        self.pre = 0
        self.skipped = None         # the element being skipped, and how many of its kind are open inside
        self.depth = 0

    def handle_starttag(self, tag, attributes):
        if self.skipped:
            self.depth += tag == self.skipped
            return
        attributes = dict(attributes)
        classes = set((attributes.get("class") or "").split())
        if tag in SKIPPED_TAGS or classes & SKIPPED_CLASSES or attributes.get("id") in SKIPPED_IDS:
            if tag not in VOID_TAGS:
                self.skipped, self.depth = tag, 1
            return
        self.newlines = max(self.newlines, BREAKS.get(tag, 0))
        if tag == "pre":
            self.pre += 1
        elif tag in ("td", "th"):
            self.space = True

    def handle_startendtag(self, tag, attributes):
        if not self.skipped:
            self.newlines = max(self.newlines, BREAKS.get(tag, 0))

    def handle_endtag(self, tag):
        if self.skipped:
            self.depth -= tag == self.skipped
            if not self.depth:
                self.skipped = None
            return
        self.newlines = max(self.newlines, BREAKS.get(tag, 0))
        if tag == "pre":
            self.pre = max(0, self.pre - 1)

    def handle_data(self, data):
        if self.skipped:
            return
        if self.pre:
            self._put(data.replace("\r\n", "\n").expandtabs(8))
            return
        words = data.split()
        if not words:
            self.space = True
            return
        self.space |= data[0].isspace()
        self._put(" ".join(words))
        self.space = data[-1].isspace()

    def _put(self, text):
        if self.newlines:
            text = text.lstrip("\n")
            if not text:
                return
            if self.out:
                self.out.append("\n" * self.newlines)
        elif self.space:
            self.out.append(" ")
        self.newlines, self.space = 0, False
        self.out.append(text)


def html_to_text(page):
    """The text of an HTML page: paragraphs a line each with an empty line between, listings as they stand."""
    parser = _Text()
    parser.feed(page)
    parser.close()
    text = re.sub(r"[ \t\xa0]+\n", "\n", "".join(parser.out))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def unwrap(text, indent=0):
    """Joins the lines of every paragraph whose lines all begin at column @indent, and removes that indent."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n").expandtabs(8)):
        lines = [line.rstrip() for line in paragraph.split("\n") if line.strip()]
        if not lines:
            continue
        prose = all(len(line) - len(line.lstrip(" ")) == indent for line in lines)
        if prose:
            paragraphs.append(" ".join(" ".join(lines).split()))
        else:
            paragraphs.append("\n".join(line[indent:] if line[:indent].isspace() else line for line in lines))
    return "\n\n".join(paragraphs) + "\n"
