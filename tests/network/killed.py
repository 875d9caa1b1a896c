#!/usr/bin/python3
"""Peers that are killed and come back, over udp."""
import signal
import time

import harness
from harness import Pipeline, Udp, check, expect_text, source, tiny_model, whole_text

TOKENS = 300
SLOW = "testslow ns-per-row=5000000"


def test_tail_killed_and_restarted():
    """The head replays frames and ids to the new tail, which goes on with the same text and prints all of it."""
    model = tiny_model()
    text = whole_text(model, tokens=TOKENS)
    udp = Udp(model)
    first = udp.tail(before_tail=SLOW)
    head = udp.head(source(model, tokens=TOKENS))
    first.wait_text(len(text) // 4)
    first.kill()
    check(0 < len(first.text) < len(text), "the first tail was not killed in the middle of the answer")
    check(text.startswith(first.text), f"the first tail wrote {first.text!r}")
    time.sleep(0.5)
    second = udp.tail(before_tail=SLOW)
    head.expect(0)
    second.expect(0)
    expect_text(second, text)


def test_tail_killed_twice_with_loss():
    """Twice, and a tenth of all datagrams is lost."""
    model = tiny_model()
    text = whole_text(model, tokens=TOKENS)
    udp = Udp(model)
    manners = {"before_tail": SLOW, "before_sink": harness.lossy(0.1)}
    tail = udp.tail(**manners)
    head = udp.head(source(model, tokens=TOKENS), before_sink=harness.lossy(0.1))
    for part in (8, 4):
        tail.wait_text(len(text) // part)
        tail.kill()
        tail = udp.tail(**manners)
    head.expect(0)
    tail.expect(0)
    expect_text(tail, text)


def test_tail_killed_in_the_prompt():
    model = tiny_model()
    prompt = harness.long_prompt(1500)
    udp = Udp(model)
    first = udp.tail(before_tail="testslow ns-per-row=1000000")
    head = udp.head(source(model, tokens=16, location=prompt))
    time.sleep(0.7)
    check(first.text == b"" and first.process.poll() is None, "the first tail was too fast")
    first.kill()
    second = udp.tail()
    head.expect(0)
    second.expect(0)
    expect_text(second, whole_text(model, tokens=16, location=prompt))


def test_tail_with_sampling_and_penalties_restarted():
    """Random numbers, penalties and a stop string of the restarted tail are those of the first."""
    model = tiny_model()
    says = (f"tokensrc model={model} prompt=Hello max-tokens={TOKENS} temperature=1 seed=11 repeat-penalty=1.2"
            " frequency-penalty=0.1 repeat-last-n=40")
    text = harness.run(f"{says} ! transformertail model={model} layers=all ! TEXT", "whole model").text
    udp = Udp(model)
    first = udp.tail(before_tail=SLOW)
    head = udp.head(says)
    first.wait_text(len(text) // 3)
    first.kill()
    check(len(first.text) < len(text), "the first tail was too fast")
    second = udp.tail(before_tail=SLOW)
    head.expect(0)
    second.expect(0)
    expect_text(second, text)


def test_tail_that_stays_away():
    """Killed for good: the head says within peer-timeout that nothing is heard any more."""
    model = tiny_model()
    udp = Udp(model)
    tail = udp.tail(before_tail=SLOW)
    head = udp.head(source(model, tokens=TOKENS), encoder="peer-timeout=1500")
    tail.wait_text(10)
    tail.kill()
    started = time.monotonic()
    head.expect_error(r"(?i)nothing was heard from the tail", 15)
    took = time.monotonic() - started
    check(took < 8, f"took {took:.1f} s with peer-timeout=1500")


def test_head_killed():
    """A tail that serves for ever has forgotten the dead head when session-timeout is over, and serves the next at once."""
    model = tiny_model()
    udp = Udp(model)
    tail = udp.tail(sessions=-1, decoder="session-timeout=1500", before_tail="testslow ns-per-row=2000000")
    first = udp.head(source(model, tokens=TOKENS), encoder="session-timeout=1500")
    tail.wait_text(10)
    first.kill()
    time.sleep(0.3)
    said = len(tail.text)
    second = udp.head(source(model, "And again", TOKENS), encoder="session-timeout=1500")
    second.expect(0)
    tail.wait_log(r"(?i)session ended early", 10)
    check(tail.process.poll() is None, f"the tail left\n{tail.report()}")
    check(tail.text[said:].endswith(whole_text(model, "And again", TOKENS)), f"the second head's text is wrong\n{tail.report()}")
    tail.signal(signal.SIGINT)
    tail.wait(5)


def test_head_killed_last_session():
    """num-sessions=1: the only session ends by its time-out; the tail says so and leaves with an error."""
    model = tiny_model()
    udp = Udp(model)
    tail = udp.tail(decoder="session-timeout=1200", before_tail="testslow ns-per-row=2000000")
    head = udp.head(source(model, tokens=TOKENS), encoder="session-timeout=1200")
    tail.wait_text(10)
    head.kill()
    tail.expect_error(r"(?i)session ended early", 15)
    check(whole_text(model, tokens=TOKENS).startswith(tail.text), "what was received before was lost")


def test_head_restarted_at_once():
    """The same ports, a new process: another session, whatever still comes from the old one."""
    model = tiny_model()
    udp = Udp(model)
    tail = udp.tail(sessions=-1)
    for number in range(5):
        prompt = f"Head number {number}"
        before = len(tail.text)
        udp.head(source(model, prompt, 24)).expect(0)
        text = whole_text(model, prompt, 24)
        tail.wait_text(before + len(text), 10)
        check(tail.text[before:].rstrip(b"\n") == text.rstrip(b"\n"), f"head {number}: {tail.text[before:]!r}, expected {text!r}")
    check(isinstance(tail, Pipeline) and tail.process.poll() is None, "the tail left")
    tail.signal(signal.SIGINT)
    tail.wait(5)


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
