#!/usr/bin/python3
"""One ctrl-C is enough, on either side, whatever is going on; what was written stays written."""
import signal
import time

import harness
from harness import Pipeline, Udp, check, comment, real_model, source, tiny_model, whole_text

TOKENS = 400
SLOW = "testslow ns-per-row=5000000"
# Seconds to leave in, on a busy machine. The tail first runs what it has acknowledged, a window at most, and then stays for `linger`
# (2 s) to repeat to a head that missed it why it goes.
HEAD_LIMIT, TAIL_LIMIT = 1.5, 5.0


class Running:
    """A udp loop of gst-launch -e processes, to be interrupted."""

    def __init__(self, model, says, split=2, before_tail=SLOW, options=("-m", "-e")):
        udp = Udp(model, split=split)
        self.tail = Pipeline(udp.tail_string(before_tail=before_tail), "tail", options=options)
        harness.wait_bound(udp.port)
        self.head = Pipeline(udp.head_string(says, encoder="peer-timeout=4000"), "head", options=options)

    def interrupt(self, pipeline, status=0):
        """Ctrl-C, once; returns how long it took to leave."""
        check(pipeline.process.poll() is None, f"over before it was interrupted\n{pipeline.report()}")
        started = time.monotonic()
        pipeline.signal(signal.SIGINT)
        got = pipeline.wait(20)
        took = time.monotonic() - started
        comment(f"{pipeline.name}: {took:.2f} s, status {got}")
        limit = HEAD_LIMIT if pipeline is self.head else TAIL_LIMIT
        check(took < limit, f"took {took:.1f} s to leave\n{pipeline.report()}")
        check(got == status, f"exit status {got}, expected {status}\n{pipeline.report()}")


def generating(options=("-m", "-e")):
    model = tiny_model()
    run = Running(model, source(model, tokens=TOKENS), options=options)
    run.tail.wait_text(20)
    return run, whole_text(model, tokens=TOKENS)


def test_head_while_generating():
    """The tail hears of the end and leaves well, with what it had."""
    run, text = generating()
    run.interrupt(run.head)
    run.tail.expect(0, 10)
    check(len(run.tail.text) >= 20 and text.startswith(run.tail.text), f"the tail wrote {run.tail.text!r}")


def test_tail_while_generating():
    """The tail prints what it had; the head is told and says so."""
    run, text = generating()
    written = len(run.tail.text)
    run.interrupt(run.tail)
    check(len(run.tail.text) >= written and text.startswith(run.tail.text), f"the tail wrote {run.tail.text!r}")
    run.head.expect_error("(?i)the tail", 10)


def test_both_at_once():
    """What a shell does to two processes of one terminal."""
    run, text = generating()
    for pipeline in (run.head, run.tail):
        pipeline.signal(signal.SIGINT)
    started = time.monotonic()
    run.head.wait(20)
    run.tail.wait(20)
    took = time.monotonic() - started
    check(took < TAIL_LIMIT, f"took {took:.1f} s to leave")
    check(text.startswith(run.tail.text), f"the tail wrote {run.tail.text!r}")


def test_without_e():
    """Without -e nothing is told to the other side; both still leave at once."""
    run, _text = generating(("-m",))
    run.interrupt(run.tail)
    run.interrupt(run.head)


def test_in_one_process():
    model = tiny_model()
    pipeline = Pipeline(f"{source(model, tokens=TOKENS)} ! transformerhead model={model} split-layer=2 ! rdencoder ! rddecoder ! {SLOW}"
                        f" ! transformertail model={model} ! TEXT", "one process", options=("-m", "-e"))
    pipeline.wait_text(20)
    started = time.monotonic()
    pipeline.signal(signal.SIGINT)
    pipeline.expect(0, 20)
    check(time.monotonic() - started < HEAD_LIMIT, f"took too long to leave\n{pipeline.report()}")
    check(len(pipeline.text) >= 20, "the text is gone")


def filling(pause=0.6, **more):
    """In the middle of a prompt that takes the tail ten seconds."""
    model = tiny_model()
    run = Running(model, source(model, tokens=8, location=harness.long_prompt(2000)), **more)
    time.sleep(pause)
    check(run.tail.text == b"", "the prompt was over too soon")
    return run


def test_head_in_the_prompt():
    run = filling()
    run.interrupt(run.head)
    run.tail.expect(0, 15)
    check(run.tail.text == b"", f"an interrupted prompt got an answer: {run.tail.text!r}")


def test_tail_in_the_prompt():
    run = filling()
    run.interrupt(run.tail)
    check(run.tail.text == b"", f"an interrupted prompt got an answer: {run.tail.text!r}")
    run.head.expect_error("(?i)the tail", 10)


def real_filling():
    """The real model in the middle of a prompt of about 2000 tokens, with its own speed."""
    model = real_model()
    path = harness.scratch("long.txt")
    with open(harness.SOURCE_ROOT + "/tests/data/hamlet20k.txt", encoding="utf-8") as file, open(path, "w", encoding="utf-8") as out:
        out.write(file.read()[:6600])
    run = Running(model, source(model, tokens=8, location=path), split=15, before_tail="identity")
    run.tail.wait_log("rd-session|new-clock", 20)
    time.sleep(1.5)
    check(run.tail.text == b"", "the prompt was over too soon")
    return run


def test_head_in_a_real_prompt():
    run = real_filling()
    run.interrupt(run.head)


def test_tail_in_a_real_prompt():
    run = real_filling()
    run.interrupt(run.tail)


def test_waiting_for_a_tail():
    """Nobody is there: ctrl-C ends the wait."""
    model = tiny_model()
    udp = Udp(model)
    head = Pipeline(udp.head_string(source(model)), "head", options=("-m", "-e"))
    head.wait_log("New clock", 10)
    time.sleep(0.3)
    started = time.monotonic()
    head.signal(signal.SIGINT)
    head.wait(20)
    check(time.monotonic() - started < HEAD_LIMIT, f"took too long to leave\n{head.report()}")


def test_waiting_for_a_head():
    model = tiny_model()
    udp = Udp(model)
    tail = Pipeline(udp.tail_string(), "tail", options=("-m", "-e"))
    harness.wait_bound(udp.port)
    time.sleep(0.3)
    started = time.monotonic()
    tail.signal(signal.SIGINT)
    tail.expect(0, 20)
    check(time.monotonic() - started < HEAD_LIMIT, f"took too long to leave\n{tail.report()}")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
