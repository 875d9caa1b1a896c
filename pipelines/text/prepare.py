#!/usr/bin/env python3
"""Makes the calibration text from unpacked Debian packages, without the chapters the test windows come from.

usage: prepare.py DEBS MODEL TESTSET OUT HELD_OUT REPORT
DEBS: folder with a folder for every package, unpacked; MODEL: a GGUF file with the vocabulary of the test set; OUT and HELD_OUT:
folders that are made, DOMAIN/CHAPTER.txt; REPORT: JSON file that says where every window was found and what was left out.
"""
import json
import pathlib
import re
import sys

import sources
from windows import FOUND, Matcher, read_windows

# domain: [(package, what reads it)]; every folder of text is a domain
DOMAINS = {
    "faq": [("anarchism", sources.faq)],
    "handbook": [("debian-handbook", sources.handbook)],
    "scripture": [("bible-kjv-text", sources.scripture)],
    "novels": [("r-cran-janeaustenr", sources.novels)],
    "optics": [("golang-1.19-src", sources.opticks)],
    "dialogue": [("wesnoth-1.16-utbs", sources.dialogue), ("wesnoth-1.16-httt", sources.dialogue),
                 ("wesnoth-1.16-did", sources.dialogue)],
    "jargon": [("jargon-text", sources.jargon)],
    "python": [("python3.11-doc", sources.python)],
    "sqlite": [("sqlite3-doc", sources.sqlite)],
    "git": [("git-doc", sources.git)],
    "debian": [("debian-policy", sources.policy), ("developers-reference", sources.developers_reference),
               ("debian-reference-en", sources.reference), ("debian-faq", sources.debian_faq), ("debian-history", sources.history)],
}
# Test domains and the package their windows come from; a window of any other domain must stand in no package
WINDOWS_FROM = {"faq": "faq", "handbook": "handbook"}
# Public-domain text that nothing is calibrated with: last-words.py makes its task from it
HELD_OUT = {
    "novels": re.compile(r"(persuasion|pride-and-prejudice)-"),
    "scripture": re.compile(r"(genesis|ruth|1-samuel|esther|daniel|jonah|acts)$"),
}
# Nothing of Milton, and nobody who names him
MILTON = re.compile(r"\bMilton\b(?!\s+(?:and\s+Rose\s+)?Friedman)|Paradise\s+(?:Lost|Regain)|Areopagitica|Samson\s+Agonistes", re.IGNORECASE)


def held_out(key):
    return key[0] in HELD_OUT and HELD_OUT[key[0]].match(key[1])


def read_chapters(debs):
    chapters, packages = {}, {}
    for domain, parts in DOMAINS.items():
        for package, read in parts:
            for name, files in read(debs / package):
                key = domain, name if len(parts) == 1 or domain == "dialogue" else f"{package}-{name}"
                if key in chapters:
                    raise ValueError(f"two chapters {'/'.join(key)}")
                chapters[key], packages[key] = files, package
    return chapters, packages


def locate(windows, matches):
    """[(number, domain, chapter or None, files)] for every window; one that should be found and is not is an error.
    @matches: {chapter: Matcher.match()}"""
    located = []
    for number, (domain, _) in enumerate(windows):
        found = [(key, match[number][1]) for key, match in matches.items() if number in match and match[number][0] >= FOUND]
        if domain in WINDOWS_FROM and not any(key[0] == WINDOWS_FROM[domain] for key, _ in found):
            best = max((match[number][0] for match in matches.values() if number in match), default=0)
            raise ValueError(f"window {number} ({domain}) stands in no chapter of {WINDOWS_FROM[domain]} (at most {best:.0%} of it anywhere): "
                             "its source cannot be kept out of the calibration text. Has the package another version than in README.md?")
        located += [(number, domain, key, files) for key, files in found] or [(number, domain, None, [])]
    return located


def choose(chapters, matches):
    """{chapter: why it is left out}: every chapter that has anything in common with a window, or names Milton."""
    excluded = {}
    for key, match in matches.items():
        for number, (share, _) in sorted(match.items()):
            excluded.setdefault(key, []).append(f"holds {max(share, 0.01):.0%} of window {number}")
    for key, files in chapters.items():
        named = next(filter(None, (MILTON.search(text) for _, text in files)), None)
        if named:
            excluded.setdefault(key, []).append(f"names {' '.join(named[0].split())}")
    return excluded


def other_forms(debs, package, files):
    """Files of the package that hold a left-out file in another language or format: none of them is ever read."""
    names = {pathlib.PurePath(file).name.split(".html")[0] for file in files}
    found = []
    for path in sorted((debs / package).rglob("*")):
        relative = str(path.relative_to(debs / package))
        if path.is_file() and relative not in files and re.sub(r"(\.html|\.md|\.txt)?(\.gz)?$", "", path.name) in names:
            found.append(relative)
    return found


def report(debs, located, excluded, chapters, packages):
    return {
        "note": "Written by pipelines/fetch-text: where the test windows stand in the Debian packages, and the chapters that are kept out "
                "of the calibration text for that.",
        "windows": [{"window": number, "domain": domain, "package": packages.get(key), "chapter": "/".join(key) if key else None,
                     "files": files} for number, domain, key, files in located],
        "excluded": [{"chapter": "/".join(key), "package": packages[key], "why": why,
                      "files": [file for file, _ in chapters[key]],
                      "never-read": other_forms(debs, packages[key], [file for file, _ in chapters[key]])}
                     for key, why in sorted(excluded.items())],
        "held-out": [f"{domain}/{pattern.pattern}" for domain, pattern in HELD_OUT.items()],
    }


def write(folder, chapters):
    sizes = {}
    for (domain, name), files in chapters.items():
        path = folder / domain / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join(text for _, text in files)
        path.write_text(text, encoding="utf-8")
        sizes.setdefault(domain, []).append(len(text))
    return sizes


def main(debs, model, testset, out, held, report_file):
    debs = pathlib.Path(debs)
    chapters, packages = read_chapters(debs)
    windows = read_windows(testset, model)
    matcher = Matcher([text for _, text in windows])
    matches = {key: matcher.match(files) for key, files in chapters.items()}
    located, excluded = locate(windows, matches), choose(chapters, matches)
    for number, domain, key, files in located:
        print(f"window {number} ({domain}): " + (f"{packages[key]}: {' '.join(files)}" if key else "in none of the packages"))
    for key, why in sorted(excluded.items()):
        print(f"left out {'/'.join(key)}: {'; '.join(why)}")
    used = {key: files for key, files in chapters.items() if key not in excluded}
    write(pathlib.Path(held), {key: files for key, files in used.items() if held_out(key)})
    sizes = write(pathlib.Path(out), {key: files for key, files in used.items() if not held_out(key)})
    for domain, lengths in sizes.items():
        print(f"{domain}: {len(lengths)} chapters, {sum(lengths)} characters")
    print(f"together {sum(map(sum, sizes.values()))} characters")
    text = json.dumps(report(debs, located, excluded, chapters, packages), indent=1, ensure_ascii=False) + "\n"
    pathlib.Path(report_file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"fetch-text: {error}")
