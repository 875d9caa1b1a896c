"""The windows of the test set as text, and where they stand in the packages' chapters."""
import json
import pathlib
import re
import struct

# What of a text is compared: letters and digits. White space, quotation marks and dashes differ between two extractions.
_NOISE = re.compile(r"[^a-z0-9]+")
# A chapter that has this many letters and digits in a row in common with a window holds some of its text; the chapter a window
# comes from has most of it
SHARED = 40
FOUND = 0.8


def squash(text):
    return _NOISE.sub("", text.lower())


def _read_vocabulary(path):
    """The array tokenizer.ggml.tokens of a GGUF file."""
    formats = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
    with open(path, "rb") as file:
        def number(form):
            return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]

        def value(kind):
            if kind == 8:
                return file.read(number("Q"))
            if kind == 9:
                kind, length = number("I"), number("Q")
                return [value(kind) for _ in range(length)]
            return number(formats[kind])

        if file.read(4) != b"GGUF":
            raise ValueError(f"{path} is not a GGUF file")
        number("I")
        number("Q")
        for _ in range(number("Q")):
            key = value(8)
            found = value(number("I"))
            if key == b"tokenizer.ggml.tokens":
                return [token.decode("utf-8") for token in found]
    raise ValueError(f"{path} holds no vocabulary")


def _byte_of_character():
    """Byte-level BPE writes every byte as one printable character: itself where it is printable, else from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(256 + number): byte for number, byte in enumerate(b for b in range(256) if b not in printable)})
    return table


def read_windows(testset, model):
    """[(domain, text)] of the windows, without the mark id 0 in front of each."""
    vocabulary, table = _read_vocabulary(model), _byte_of_character()
    windows = []
    for window in json.loads(pathlib.Path(testset).read_text(encoding="utf-8"))["windows"]:
        characters = "".join(vocabulary[token] for token in window["ids"][1:])
        windows.append((window["domain"], bytes(table[c] for c in characters).decode("utf-8", errors="replace")))
    return windows


class Matcher:
    """Finds windows in chapters by what they share: runs of @shared letters and digits. (A whole window is rarely found in one
    piece: another extraction has left out headings or what a reader is to type.)"""

    def __init__(self, windows, shared=SHARED):
        self.windows = [squash(text) for text in windows]
        self.shared = shared
        self.places = {}            # run: [(window, offset)]
        for number, window in enumerate(self.windows):
            for at in range(len(window) - shared + 1):
                self.places.setdefault(window[at:at + shared], []).append((number, at))

    def match(self, files):
        """{window: (share of it that stands in the chapter, [files])} for a chapter's [(file, text), ...]."""
        texts = [(file, squash(text)) for file, text in files]
        chapter = "".join(text for _, text in texts)
        covered, at_offsets = {}, {}
        for at in range(len(chapter) - self.shared + 1):
            for number, offset in self.places.get(chapter[at:at + self.shared], ()):
                covered.setdefault(number, set()).update(range(offset, offset + self.shared))
                at_offsets.setdefault(number, []).append(at)
        return {number: (len(letters) / len(self.windows[number]), _files_at(texts, at_offsets[number], self.shared))
                for number, letters in covered.items()}


def _files_at(texts, offsets, shared):
    files, end = [], 0
    for file, text in texts:
        start, end = end, end + len(text)
        if any(start - shared < at < end for at in offsets):
            files.append(file)
    return files
