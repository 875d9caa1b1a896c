#!/usr/bin/env python3
"""Makes the last-word task from the text that calibration does not use: passages whose last word the reader can guess from what stands before.

usage: last-words.py TEXT HELD_OUT OUT      (.cache/text .cache/text-held-out tests/data/last-words.jsonl)

A passage is three to six whole sentences of one chapter. Its last word is a content word, stands in an earlier sentence, too, and there
it follows the same word as at the end or stands twice. Every line of OUT is {"text": ..., "word": " last"}, with "domain" and "source".
Nothing is drawn by chance and no model is asked.
"""
import json
import pathlib
import re
import sys

from windows import Matcher

WANTED = {"novels": 180, "scripture": 120}
SENTENCES = range(3, 7)
WORDS = range(45, 171)
LEAST_LAST = 5          # words in the last sentence
SAME_WORD = 5           # passages that end in one word
# A passage has less than this many letters and digits in a row in common with the calibration text
CALIBRATED = 60

ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Dr|St|Messrs|Esq|Col|Capt)\.$")
SENTENCE_END = re.compile(r"[.!?][\"']?(?=\s+[\"'A-Z])|[.!?][\"']?\s*$")
WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
FUNCTION_WORDS = set("""
about above after again against all almost alone along already also although always among another any anybody anything away back because
been before began behind being below beneath beside besides better between beyond both brought came cannot come could dare dear does doing
done down during each either else enough even ever every everybody everything exactly far forth from gave give given gone good great had hast
hath have having hear heard hence her here hereafter hers herself him himself his hither how however indeed into itself just kind knew know
known last least less let like little long look made make many may mere might mine more most much must myself near need neither never next
nobody none nor not nothing now off often once one only other others ought our ours ourselves out over own perhaps please quite rather
said saith same saw say says see seem seemed seen several shall shalt she should since some somebody something sometimes soon still such
take taken than that thee their theirs them themselves then thence there thereby therefore therein thereof these they thine thing things
think this thither those thou though thought three through thus thy thyself till together told too took towards truly two under
unto until upon used very want was well went were what whatever when whence where wherefore wherein whether which while whither who whole whom
whose why will wilt with within without would yes yet you your yours yourself yourselves
""".split())


def sentences(text):
    """[(start, end)] of the sentences of a chapter, quotation mark included."""
    found, start = [], 0
    for match in SENTENCE_END.finditer(text):
        if ABBREVIATION.search(text[:match.start() + 1]):
            continue
        found.append((start, match.end()))
        start = match.end() + len(text[match.end():]) - len(text[match.end():].lstrip())
    return found


def last_word(sentence):
    """The word before the full stop, with the place it begins at; None if none can be asked for."""
    match = re.search(r" ([A-Za-z]{4,})[.!?][\"']?$", sentence)
    if not match or match[1].lower() in FUNCTION_WORDS or len(WORD.findall(sentence)) < LEAST_LAST:
        return None
    return match[1], match.start()


def is_given(before, sentence_start, word, place):
    """Whether the word stands in an earlier sentence and can be told from there."""
    earlier = before[:sentence_start]
    here = WORD.findall(before[:place])[-1].lower()
    pairs = [pair.lower() for pair in re.findall(rf"([A-Za-z]+)[ \n]+{word}\b", earlier)]
    return here in pairs or len(re.findall(rf"\b{word}\b", earlier)) >= 2


def passages(text):
    """[(start, place, word)] of passages of a chapter that do not overlap, the shortest that ends in each sentence."""
    found, bounds, free = [], sentences(text), 0
    for last, (begin, end) in enumerate(bounds):
        asked = last_word(text[begin:end])
        if not asked:
            continue
        word, offset = asked
        for number in SENTENCES:
            first = last - number + 1
            if first < 0 or bounds[first][0] < free:
                break
            start = bounds[first][0]
            place = begin + offset
            words = len(WORD.findall(text[start:place]))
            if words in WORDS and is_given(text[start:place], begin - start, word, place - start):
                found.append((start, place, word))
                free = end
                break
    return found


def read_chapters(folder):
    return {path.relative_to(folder): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.txt"))}


def collect(held_out):
    """All candidates, as items."""
    items = []
    for path, text in read_chapters(held_out).items():
        for start, place, word in passages(text):
            items.append({"text": text[start:place].rstrip(), "word": " " + word, "domain": path.parts[0], "source": path.stem})
    return items


def not_calibrated(items, calibration):
    """Those that have no long run in common with the calibration text."""
    matcher = Matcher([item["text"] + item["word"] for item in items], CALIBRATED)
    known = set()
    for path, text in calibration.items():
        known.update(matcher.match([(str(path), text)]))
    return [item for number, item in enumerate(items) if number not in known]


def choose(items, wanted):
    """@wanted items, evenly from all, few with the same last word."""
    ends, kept = {}, []
    for item in items:
        ends[item["word"]] = ends.get(item["word"], 0) + 1
        if ends[item["word"]] <= SAME_WORD:
            kept.append(item)
    if len(kept) < wanted:
        raise ValueError(f"only {len(kept)} passages of the {wanted} wanted")
    return [kept[number * len(kept) // wanted] for number in range(wanted)]


def main(text, held_out, out):
    candidates = collect(pathlib.Path(held_out))
    clean = not_calibrated(candidates, read_chapters(pathlib.Path(text)))
    print(f"{len(candidates)} passages, {len(clean)} of them not in the calibration text")
    chosen = []
    for domain, wanted in WANTED.items():
        chosen += choose([item for item in clean if item["domain"] == domain], wanted)
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in chosen]
    pathlib.Path(out).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"last-words: {error}")
