#!/usr/bin/python3
"""Loss over udp: datagrams that vanish, come twice or late change neither the text nor the exit status.

usage: loss.py [--runs N] [--drop P] [NAME...]
"""
import time

import harness
from harness import Relay, Udp, check, comment, expect_loop, source, tiny_model, whole_text

TOKENS = 32
PROMPT = "It was a dark and stormy night; the rain fell in torrents"
ARGUMENTS = harness.options(("--runs", {"type": int, "default": 4, "help": "runs at --drop (4)"}),
                            ("--drop", {"type": float, "default": 0.2, "help": "loss both ways (0.2)"}))


def lossy_run(drop, tokens=TOKENS, seconds=60):
    """One run behind `identity drop-probability`, both ways; returns the frames that were sent again."""
    model = tiny_model()
    udp = Udp(model)
    identity = harness.lossy(drop)
    tail = udp.tail(before_sink=identity)
    head = udp.head(source(model, PROMPT, tokens), before_sink=identity, encoder="frame-tokens=8")
    expect_loop(head, tail, whole_text(model, PROMPT, tokens), seconds)
    return int(head.stats("rdencoder-stats")["retransmitted-frames"])


def test_loss_both_ways():
    whole_text(tiny_model(), PROMPT, TOKENS)
    failures, times, again = [], [], 0
    for number in range(ARGUMENTS.runs):
        started = time.monotonic()
        try:
            again += lossy_run(ARGUMENTS.drop)
        except harness.Failure as failure:
            failures.append(f"run {number}: {failure}")
        times.append(time.monotonic() - started)
    comment(f"{ARGUMENTS.runs - len(failures)} of {ARGUMENTS.runs} runs at loss {ARGUMENTS.drop} ended with status 0 on both sides and"
            f" the same text; {sum(times) / len(times):.2f} s a run, the longest {max(times):.2f} s; {again} frames sent again")
    check(not failures, "\n".join(failures))
    check(again > 0, "not one frame was lost: the test has tested nothing")


def test_half_is_lost():
    check(lossy_run(0.5, tokens=12, seconds=90) > 0, "not one frame was lost")


def test_long_prompt_and_loss():
    """A prompt of many windows; a datagram holds a few tokens."""
    model = tiny_model()
    prompt = harness.long_prompt(1200)
    udp = Udp(model)
    identity = harness.lossy(0.1)
    tail = udp.tail(before_sink=identity)
    head = udp.head(source(model, tokens=8, location=prompt), before_sink=identity)
    expect_loop(head, tail, whole_text(model, tokens=8, location=prompt))


def relayed_run(tokens=TOKENS, location=None, **manners):
    """A run whose datagrams take a relay each way; the head's and the tail's statistics, and datagrams that the relays dropped."""
    model = tiny_model()
    udp = Udp(model)
    forth, back = Relay(udp.port, seed=3, **manners), Relay(udp.reply_port, seed=4, **manners)
    tail = udp.tail(port=back.port)
    head = udp.head(source(model, PROMPT, tokens, location=location), port=forth.port, encoder="frame-tokens=4")
    try:
        expect_loop(head, tail, whole_text(model, PROMPT, tokens, location=location))
    finally:
        forth.stop()
        back.stop()
    return head.stats("rdencoder-stats"), tail.stats("rddecoder-stats"), forth.dropped + back.dropped


def test_doubled():
    _head, tail, _dropped = relayed_run(double=1.0)
    check(tail["duplicates"] > 0, "no duplicate was counted")


def test_reordered():
    relayed_run(hold=0.3, hold_seconds=0.03)


def test_all_at_once():
    relayed_run(drop=0.1, double=0.2, hold=0.2, hold_seconds=0.05)


def expect_no_blind_repeats(head, dropped):
    again = head["retransmitted-frames"]
    comment(f"{head['frames']:.0f} frames, {again:.0f} of them again, {dropped} dropped, round trip {head['round-trip-us'] / 1000:.0f} ms")
    check(again <= dropped + 0.1 * head["frames"], f"{again:.0f} of {head['frames']:.0f} frames went again, {dropped} were dropped")


def test_slow_link():
    """A round trip of 0.2 s: the time-out follows it, nothing is sent blindly."""
    head, _tail, dropped = relayed_run(tokens=16, hold=1.0, hold_seconds=0.1)
    expect_no_blind_repeats(head, dropped)


def test_narrow_link():
    """1 Mbit/s and a queue that holds a window: nothing is lost."""
    head, tail, dropped = relayed_run(tokens=4, location=harness.long_prompt(1000), rate=125000)
    expect_no_blind_repeats(head, dropped)
    check(dropped == 0 and tail["holes"] == 0, f"{dropped} datagrams were dropped: more than a window was under way")


def test_narrow_link_with_a_short_queue():
    """The queue holds a fifth of a window: what is dropped there is sent again, until the prompt is through."""
    head, _tail, dropped = relayed_run(tokens=4, location=harness.long_prompt(600), rate=125000, longest_wait=0.1)
    check(dropped > 0, "nothing was dropped")
    expect_no_blind_repeats(head, dropped)


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], ARGUMENTS)
