"""The texts in the Debian packages, cut into chapters.

Every function yields (chapter, [(file, text), ...]) of one domain: the chapter's name, and the package's files it is made of with
the plain text of each, in reading order. @tree is where the package was unpacked.
"""
import gzip
import re
import struct
import subprocess
import zlib

from markup import html_to_text, unwrap

# The books of the King James Bible as the package abbreviates them
BOOKS = {
    "Ge": "genesis", "Exo": "exodus", "Lev": "leviticus", "Num": "numbers", "Deu": "deuteronomy", "Josh": "joshua", "Jdgs": "judges",
    "Ruth": "ruth", "1Sm": "1-samuel", "2Sm": "2-samuel", "1Ki": "1-kings", "2Ki": "2-kings", "1Chr": "1-chronicles",
    "2Chr": "2-chronicles", "Ezra": "ezra", "Neh": "nehemiah", "Est": "esther", "Job": "job", "Psa": "psalms", "Prv": "proverbs",
    "Eccl": "ecclesiastes", "SSol": "song-of-solomon", "Isa": "isaiah", "Jer": "jeremiah", "Lam": "lamentations", "Eze": "ezekiel",
    "Dan": "daniel", "Hos": "hosea", "Joel": "joel", "Amos": "amos", "Obad": "obadiah", "Jonah": "jonah", "Mic": "micah",
    "Nahum": "nahum", "Hab": "habakkuk", "Zep": "zephaniah", "Hag": "haggai", "Zec": "zechariah", "Mal": "malachi", "Mat": "matthew",
    "Mark": "mark", "Luke": "luke", "John": "john", "Acts": "acts", "Rom": "romans", "1Cor": "1-corinthians", "2Cor": "2-corinthians",
    "Gal": "galatians", "Eph": "ephesians", "Phi": "philippians", "Col": "colossians", "1Th": "1-thessalonians",
    "2Th": "2-thessalonians", "1Tim": "1-timothy", "2Tim": "2-timothy", "Titus": "titus", "Phmn": "philemon", "Heb": "hebrews",
    "Jas": "james", "1Pet": "1-peter", "2Pet": "2-peter", "1Jn": "1-john", "2Jn": "2-john", "3Jn": "3-john", "Jude": "jude",
    "Rev": "revelation"}


def _page(path):
    return html_to_text(path.read_text(encoding="utf-8", errors="replace"))


def _pages(tree, folder, pattern="*.html", skip=r"^$"):
    """Every HTML page below @folder is a chapter."""
    base = tree / folder
    for path in sorted(base.rglob(pattern)):
        if path.is_file() and not path.is_symlink() and not re.search(skip, path.name):
            name = str(path.relative_to(base)).removesuffix(".html").removesuffix(".en").replace("/", "-")
            yield name, [(str(path.relative_to(tree)), _page(path))]


def faq(tree):
    yield from _pages(tree, "usr/share/doc/anarchism/html", skip=r"^(index|book|pdf|contact|a?links|arlinks|translations)\.html$")


def handbook(tree):
    """A chapter is its own page and those of its sections, as the table of contents has them."""
    base = tree / "usr/share/doc/debian-handbook/html/en-US"
    contents = (base / "index.html").read_text(encoding="utf-8")
    chapters, seen = [], {"index.html"}
    for kind, name in re.findall(r'<span class="(\w+)"><a href="([^"#]+)', contents):
        if name in seen:
            continue
        seen.add(name)
        if kind == "section":
            chapters[-1].append(name)
        else:
            chapters.append([name])
    missing = {path.name for path in base.glob("*.html")} - seen
    if missing:
        raise ValueError(f"debian-handbook: the table of contents does not name {sorted(missing)}")
    for names in chapters:
        paths = [base / name for name in names]
        yield names[0].removesuffix(".html"), [(str(path.relative_to(tree)), _page(path)) for path in paths]


def scripture(tree):
    """A chapter is a book of the Bible; within it, every chapter is a paragraph."""
    path = tree / "usr/lib/bible.data"
    data = path.read_bytes()
    # The number of blocks is at 88, then the offset of each and of the end, all big-endian. A block is the output of compress(1)
    # without its first three bytes, which stand once in front of the first block.
    blocks, first = struct.unpack_from(">II", data, 88)
    offsets = struct.unpack_from(f">{blocks + 1}I", data, 92)
    texts = [subprocess.run(["gzip", "-dc"], input=data[first - 3:first] + data[start:end], stdout=subprocess.PIPE, check=True).stdout
             for start, end in zip(offsets, offsets[1:]) if end > start]
    books = {}
    for line in b"".join(texts).decode("utf-8").splitlines():
        verse = re.match(r"(\d?[A-Za-z]+)(\d+):\d+ (.*)", line)
        if verse:
            books.setdefault(BOOKS[verse[1]], {}).setdefault(int(verse[2]), []).append(verse[3].strip())
    if len(books) != len(BOOKS):
        raise ValueError(f"bible-kjv-text: {len(books)} books instead of {len(BOOKS)}")
    for name, chapters in books.items():
        yield name, [(str(path.relative_to(tree)), "\n\n".join(" ".join(verses) for verses in chapters.values()) + "\n")]


def python(tree):
    for folder in ("tutorial", "howto", "faq", "reference", "library"):
        for name, files in _pages(tree, f"usr/share/doc/python3.11/html/{folder}", skip=r"^index\.html$"):
            yield f"{folder}-{name}", files


def sqlite(tree):
    base = "usr/share/doc/sqlite3"
    lists = r"^(index|doc_.*|doclist|keyword_index|sitemap|requirements|changes|chronology|news|oldnews|cves|hp\d|fileformat)\.html$"
    for name, files in _pages(tree, base, skip=lists):
        if "/" not in files[0][0].removeprefix(base + "/"):     # the folders are one page a function of what capi3ref.html has
            yield name, files


def git(tree):
    yield from _pages(tree, "usr/share/doc/git/html", skip=r"^(index|.*[Rr]el[Nn]otes.*)\.html$")


def policy(tree):
    yield from _pages(tree, "usr/share/doc/debian-policy/policy.html", skip=r"^(genindex|search|index|policy-1)\.html$")


def developers_reference(tree):
    yield from _pages(tree, "usr/share/developers-reference",
                      skip=r"^(genindex|search|index|developers-reference)\.html$|\.(de|fr|it|ja|ru)\.html$")


def reference(tree):
    yield from _pages(tree, "usr/share/debian-reference", "*.en.html", skip=r"^index\.")


def debian_faq(tree):
    yield from _pages(tree, "usr/share/doc/debian/FAQ", "*.en.html", skip=r"^index\.")


def history(tree):
    yield from _pages(tree, "usr/share/doc/debian-history/docs", "*.en.html", skip=r"^index\.")


def opticks(tree):
    """Newton's Opticks by its books and parts."""
    path = tree / "usr/share/go-1.19/src/testdata/Isaac.Newton-Opticks.txt"
    text = path.read_text(encoding="utf-8")
    text = text[text.index("SIR ISAAC NEWTON'S ADVERTISEMENTS"):]
    parts = re.split(r"\n(?=THE (?:FIRST) BOOK OF OPTICKS\n|THE\n\n(?:SECOND|THIRD) BOOK\n)", text)
    for number, part in enumerate(parts):
        yield f"part-{number}", [(str(path.relative_to(tree)), unwrap(part).replace("_", ""))]


def novels(tree):
    """Jane Austen's novels, a chapter a chapter."""
    path = tree / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
    for lines in _r_strings(path.read_bytes()):
        title = next(line for line in lines if line).lower().replace(" ", "-")
        starts = [n for n, line in enumerate(lines) if re.match(r"(?i)chapter [ivxlc\d]+\.?$", line.strip())]
        for number, (start, end) in enumerate(zip(starts, starts[1:] + [len(lines)]), 1):
            text = unwrap("\n".join(lines[start + 1:end]))
            text = re.sub(r"\s*\n\n(?:volume [ivx]+|finis|the end)\s*$", "\n", text, flags=re.IGNORECASE)
            yield f"{title}-{number:02}", [(str(path.relative_to(tree)), text.replace("_", ""))]


def _r_strings(data):
    """The vectors of strings in a lazy-load file of R: of each the length, then serialised and compressed."""
    while data:
        stream = zlib.decompressobj()
        raw = stream.decompress(data[4:])
        data = stream.unused_data
        # "X\n", three versions, the encoding's name; then type 16 (strings), their number, and of each type 9, length and bytes
        encoding, = struct.unpack_from(">i", raw, 14)
        at = 18 + encoding
        kind, number = struct.unpack_from(">ii", raw, at)
        if raw[:2] != b"X\n" or kind & 255 != 16:
            raise ValueError("not a vector of strings as R writes it")
        at += 8
        lines = []
        for _ in range(number):
            _, length = struct.unpack_from(">ii", raw, at)
            lines.append(raw[at + 8:at + 8 + length].decode("utf-8"))
            at += 8 + length
        yield lines


def jargon(tree):
    """The Jargon File: its introduction and every letter of the lexicon with the appendices behind the last."""
    path = tree / "usr/share/doc/jargon-text/jargon.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        text = file.read()
    text = text[text.rindex("Hacker Slang and Hacker Culture"):]
    for part in re.split(r"\n(?=  [0A-Z]\n)", text):
        title = part.split("\n", 1)[0].strip()
        name = f"letter-{title.lower()}" if len(title) == 1 else "introduction"
        yield name, [(str(path.relative_to(tree)), _without_lists(unwrap(part, 3)))]


def _without_lists(text):
    """Drops runs of many short paragraphs: lists of what stands in the following pages."""
    paragraphs, run, kept = text.split("\n\n"), [], []
    for paragraph in paragraphs + ["." * 99]:
        if len(paragraph) < 60 and not paragraph.rstrip().endswith((".", ":", ",")):
            run.append(paragraph)
            continue
        kept += run if len(run) < 8 else []
        kept.append(paragraph)
        run = []
    return "\n\n".join(kept[:-1]) + "\n"


def dialogue(tree):
    """What the persons of Wesnoth's campaigns say and the story between, a scenario a chapter, in the order of the files."""
    base = tree / "usr/share/games/wesnoth/1.16/data/campaigns"
    for path in sorted(base.rglob("*.cfg")):
        lines = _speeches(path.read_text(encoding="utf-8"))
        if sum(map(len, lines)) >= 1000:
            name = str(path.relative_to(base)).removesuffix(".cfg").replace("/", "-").lower()
            yield name, [(str(path.relative_to(tree)), "\n\n".join(lines) + "\n")]


def _speeches(config):
    lines, speaker = [], None
    for match in re.finditer(r'\[(message|part)\]|^\s*speaker\s*=\s*"?([^"\n]*)|\b(?:message|story)\s*=\s*_\s*"((?:[^"]|"")*)"',
                             config, re.MULTILINE):
        if match[1]:
            speaker = None
        elif match[2] is not None:
            # a variable, or whoever stands nearest: no name
            speaker = match[2].strip() if re.fullmatch(r"[A-Z][\w' -]*", match[2].strip()) else None
        elif "|" not in match[3] and "$" not in match[3]:
            # marks of size and colour go, and what stands in front of ^ for translators
            text = re.sub(r"<[^>]*>|^[\w ]+\^", "", " ".join(match[3].replace('""', '"').split()))
            lines.append(f"{speaker}: {text}" if speaker else text)
    return lines
