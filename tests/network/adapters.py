#!/usr/bin/python3
"""A codec file with adapters over udp: both halves run with them, and a half without them is told to the other."""
import os
import shlex

import harness
from harness import Skip, Udp, check, expect_loop, run, source, tiny_model, whole_text

TOKENS = 40
PROMPT = "It was a dark and stormy night"
LOSSLESS = "rate-control=lossless"


def adapted():
    path = os.environ.get("ST_TEST_CODEC_ADAPTED", "")
    if not path:
        raise Skip("ST_TEST_CODEC_ADAPTED names no codec file with adapters for the tests' tiny model")
    check(os.path.isfile(path), f"ST_TEST_CODEC_ADAPTED: there is no file {path}")
    return path


class Loop(Udp):
    """The two ends; `parts` says which of them run with the adapters."""

    def __init__(self, head=True, tail=True):
        self.path = shlex.quote(adapted())
        super().__init__(tiny_model(), codec=self.path)
        plain, both = self.model, f"{self.model} codec={self.path}"
        self.head_model, self.tail_model = both if head else plain, both if tail else plain

    def head_string(self, says, encoder="", **options):
        self.model = self.head_model
        return super().head_string(says, encoder, **options)

    def tail_string(self, decoder="", **options):
        self.model = self.tail_model
        return super().tail_string(decoder=f"codec={self.path} {decoder}", **options)


def says(tokens=TOKENS):
    return source(tiny_model(), PROMPT, tokens)


def one_process(settings):
    """The text by way of the codec pair in one process."""
    model, codec = shlex.quote(tiny_model()), shlex.quote(adapted())
    return run(f"{says()} ! transformerhead model={model} split-layer=2 codec={codec} ! rdencoder codec={codec} {settings}"
               f" ! rddecoder codec={codec} ! transformertail model={model} codec={codec} ! TEXT", "one process").text


def test_udp():
    plain = whole_text(tiny_model(), prompt=PROMPT, tokens=TOKENS)
    for settings in (LOSSLESS, "quality=70"):
        text = one_process(settings)
        check(text != plain, "the adapters change nothing")
        loop = Loop()
        tail = loop.tail()
        expect_loop(loop.head(says(), encoder=settings), tail, text)


def test_tail_without():
    loop = Loop(tail=False)
    tail = loop.tail()
    loop.head(says()).expect_error("transformertail runs without them")
    tail.expect_error("transformertail runs without them")


def test_head_without():
    """Nothing is sent, so the tail would wait for ever."""
    loop = Loop(head=False)
    tail = loop.tail()
    loop.head(says()).expect_error("set codec of transformerhead")
    tail.kill()


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
