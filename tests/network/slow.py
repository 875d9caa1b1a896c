#!/usr/bin/python3
"""A tail that is slow: the window holds the head back, so that udp, which has no flow control, loses nothing.

usage: slow.py [--real] [NAME...]
"""
import shlex

import harness
from harness import Udp, check, comment, expect_text, real_model, run, source, tiny_model

ARGUMENTS = harness.options(("--real", {"action": "store_true", "help": "also the real model, minutes long"}))
PROMPT_TOKENS = 2000


def slowed(model, location, split, tokens, slow, encoder="", seconds=harness.PATIENCE):
    """f16 over udp with a slow machine before the tail, against the same codec in one process. No time-out: both end well, and the
    head never gave up; no lost position: nothing had to be sent again."""
    quoted = shlex.quote(model)
    says = source(model, tokens=tokens, location=location)
    udp = Udp(model, split=split, codec="f16")
    tail = udp.tail(before_tail=slow)
    head = udp.head(says, encoder=encoder)
    head.expect(0, seconds)
    tail.expect(0, 10)
    one = run(f"{says} ! transformerhead model={quoted} split-layer={split} ! rdencoder codec=f16 ! rddecoder"
              f" ! transformertail model={quoted} ! TEXT", "one process", seconds)
    expect_text(tail, one.text)
    sent, got = head.stats("rdencoder-stats"), tail.stats("rddecoder-stats")
    comment(f"{sent['tokens']:.0f} tokens in {sent['frames']:.0f} frames, {got['holes']:.0f} holes,"
            f" {sent['retransmitted-frames']:.0f} frames sent again, {got['duplicates']:.0f} duplicates")
    check(sent["tokens"] >= PROMPT_TOKENS, f"only {sent['tokens']:.0f} tokens were sent")
    check(got["holes"] == 0, f"{got['holes']:.0f} holes in the positions")
    check(sent["retransmitted-frames"] == 0, f"{sent['retransmitted-frames']:.0f} frames were sent again")


def test_five_times_slower():
    slowed(tiny_model(), harness.long_prompt(2100), 2, 8, "testslow factor=5")


def test_a_datagram_a_token():
    """2000 datagrams, each of which takes the tail a while."""
    slowed(tiny_model(), harness.long_prompt(2100), 2, 8, "testslow ns-per-row=1500000", encoder="frame-tokens=1")


def test_long_pauses():
    """A whole chunk takes longer than a time-out would be, and a round trip says nothing of it."""
    slowed(tiny_model(), harness.long_prompt(2100), 2, 4, "testslow ns-per-row=4000000", encoder="peer-timeout=2500")


def test_real_model_five_times_slower():
    if not ARGUMENTS.real:
        raise harness.Skip("minutes long: --real")
    path = harness.scratch("long.txt")
    with open(harness.SOURCE_ROOT + "/tests/data/hamlet20k.txt", encoding="utf-8") as file, open(path, "w", encoding="utf-8") as out:
        out.write(file.read()[:6600])
    slowed(real_model(), path, 10, 8, "testslow factor=5", seconds=540)


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], ARGUMENTS)
