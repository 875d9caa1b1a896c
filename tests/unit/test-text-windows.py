"""pipelines/text: test windows are found whatever white space, headings and listings have become, and a lost one is an error."""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "pipelines" / "text"))
import prepare
from markup import html_to_text, unwrap
from windows import Matcher

WORDS = "".join(f"Word number {n} of the chapter, which says {n * n}. " for n in range(400))
WINDOW = WORDS[3000:6000]
OTHER = "".join(f"Another text has sentence {n}; it says nothing. " for n in range(400))


def chapters(text):
    return {("faq", "a"): [("a.html", text[:4000]), ("b.html", text[4000:])], ("python", "c"): [("c.html", OTHER)]}


def locate(windows, text):
    matcher = Matcher([window for _, window in windows])
    matches = {key: matcher.match(files) for key, files in chapters(text).items()}
    return prepare.locate(windows, matches), prepare.choose(chapters(text), matches)


class Windows(unittest.TestCase):
    def test_found(self):
        located, excluded = locate([("faq", WINDOW)], WORDS)
        self.assertEqual(located, [(0, "faq", ("faq", "a"), ["a.html", "b.html"])])
        self.assertEqual(list(excluded), [("faq", "a")])

    def test_found_in_other_shape(self):
        shape = WORDS.replace(". ", ".\n\n").replace("which", "WHICH").replace("number 80 ", "number 80, a new heading ")
        located, _ = locate([("faq", WINDOW)], shape)
        self.assertEqual(located[0][2], ("faq", "a"))

    def test_lost(self):
        for text in OTHER, WORDS[:3500] + OTHER:
            with self.assertRaisesRegex(ValueError, r"window 0 \(faq\) stands in no chapter of faq"):
                locate([("faq", WINDOW)], text)

    def test_quoted_in_another_domain(self):
        text = WORDS + OTHER[500:600]
        _, excluded = locate([("faq", WINDOW), ("milton", OTHER[400:1000])], text)
        self.assertEqual(set(excluded), {("faq", "a"), ("python", "c")})

    def test_milton(self):
        _, excluded = locate([], WORDS + "As Milton says. ")
        self.assertEqual(excluded, {("faq", "a"): ["names Milton"]})
        self.assertEqual(locate([], WORDS + "As Milton Friedman says. ")[1], {})


class Markup(unittest.TestCase):
    def test_html(self):
        page = ("<html><head><title>no</title></head><body><ul class='docnav'><li>no<ul><li>no</ul></ul><p>One\n <b>two</b>,"
                " three.</p><pre>a\n  b &lt; c</pre><div><p>four<br>five</p></div><script>no</script></body></html>")
        self.assertEqual(html_to_text(page), "One two, three.\n\na\n  b < c\n\nfour\nfive\n")

    def test_unwrap(self):
        self.assertEqual(unwrap("   one\n   two\n\n     code\n   x\n", 3), "one two\n\n  code\nx\n")


if __name__ == "__main__":
    unittest.main()
