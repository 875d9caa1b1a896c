#!/usr/bin/python3
"""The loop over udp on loopback: two gst-launch processes write what one process writes."""
import socket
import time

import harness
from harness import Pipeline, Udp, check, expect_loop, expect_text, run, source, tiny_model, whole_text

TOKENS = 48


def loop(codec, encoder="", **tail_options):
    model = tiny_model()
    udp = Udp(model, codec=codec)
    tail = udp.tail(**tail_options)
    head = udp.head(source(model, tokens=TOKENS), encoder=encoder)
    head.expect(0)
    tail.expect(0)
    return head, tail


def test_f32_is_the_whole_model():
    head, tail = loop("f32")
    expect_text(tail, whole_text(tiny_model(), tokens=TOKENS))
    stats = head.stats("rdencoder-stats")
    check(stats["tokens"] >= TOKENS - 1, f"{stats['tokens']} tokens counted")
    check(stats["bytes"] > stats["tokens"] * 64 * 4, "fewer bytes counted than the states have")


def test_small_datagrams():
    """A token of 256 bytes that does not fit is cut into fragments."""
    _head, tail = loop("f32", encoder="max-payload-size=128")
    expect_text(tail, whole_text(tiny_model(), tokens=TOKENS))


def test_lossy_codecs():
    """f16, int8 and int4 end well; the same codec inside one process gives the same text."""
    model = tiny_model()
    sizes = []
    for codec in ("f16", "int8", "int4"):
        head, tail = loop(codec)
        one = run(f"{source(model, tokens=TOKENS)} ! transformerhead model={model} split-layer=2 ! rdencoder codec={codec}"
                  f" ! rddecoder ! transformertail model={model} ! TEXT", codec)
        expect_text(tail, one.text)
        sizes.append(head.stats("rdencoder-stats")["payload-bits-per-token"])
    check(sizes == sorted(sizes, reverse=True) and sizes[2] < sizes[0], f"payload bits per token of f16, int8, int4: {sizes}")


def test_packed():
    _head, tail = loop("f32", encoder="pack=true frame-tokens=8")
    expect_text(tail, whole_text(tiny_model(), tokens=TOKENS))


def test_sampled_text_repeats_with_its_seed():
    """seed=7 at temperature 1 is the same text in one process and over udp."""
    model = tiny_model()
    says = f"tokensrc model={model} prompt=Hello max-tokens={TOKENS} temperature=1 seed=7"
    udp = Udp(model)
    tail = udp.tail()
    head = udp.head(says)
    one = run(f"{says} ! transformertail model={model} layers=all ! TEXT", "whole model")
    expect_loop(head, tail, one.text)


def test_head_before_tail():
    """udp does not mind who comes first."""
    model = tiny_model()
    udp = Udp(model)
    head = udp.head(source(model, tokens=TOKENS))
    time.sleep(3)
    check(head.process.poll() is None, f"the head did not wait\n{head.report()}")
    tail = udp.tail()
    expect_loop(head, tail, whole_text(model, tokens=TOKENS))


def test_head_that_waits_for_ever():
    """peer-timeout=0."""
    model = tiny_model()
    udp = Udp(model)
    head = udp.head(source(model, tokens=TOKENS), encoder="peer-timeout=0")
    time.sleep(1)
    tail = udp.tail()
    expect_loop(head, tail, whole_text(model, tokens=TOKENS))


def test_tail_absent():
    """Nobody answers: an error within peer-timeout that says what to look at."""
    model = tiny_model()
    udp = Udp(model)
    started = time.monotonic()
    head = udp.head(source(model, tokens=TOKENS), encoder="peer-timeout=1500")
    head.expect_error(r"(?i)(tail|rddecoder|other side|peer).*(port|address|running|start|link)", 15)
    took = time.monotonic() - started
    check(1.4 < took < 8, f"took {took:.1f} s with peer-timeout=1500")


def expect_in_use(pipeline, port):
    """udpsrc's own words: they name the port and the reason."""
    pipeline.expect_error("from element .*udpsrc", 15)
    pipeline.wait_log(rf"{port}: Address already in use", 1)


def test_port_in_use():
    """A udp port that another program holds is an error that names the port."""
    model = tiny_model()
    udp = Udp(model)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", udp.port))
        expect_in_use(Pipeline(udp.tail_string(), "tail"), udp.port)


def test_reply_port_in_use():
    model = tiny_model()
    udp = Udp(model)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", udp.reply_port))
        expect_in_use(udp.head(source(model, tokens=TOKENS)), udp.reply_port)


def test_feedback_not_linked():
    """The tail has nothing to answer with: it says which pads to link."""
    model = tiny_model()
    udp = Udp(model)
    tail = Pipeline(udp.tail_string().partition("  d.feedback")[0], "tail")
    harness.wait_bound(udp.port)
    head = udp.head(source(model, tokens=TOKENS), encoder="peer-timeout=3000")
    tail.expect_error(r"feedback", 15)
    head.expect_error(r"\w", 15)


def test_another_model():
    """The tail holds another model: both sides say so, and no noise is written."""
    model = tiny_model()
    other = harness.scratch("other.gguf")
    harness.make_model(other, "--seed=5")
    udp = Udp(other)
    tail = udp.tail()
    head_side = Udp(model)
    head_side.port, head_side.reply_port = udp.port, udp.reply_port
    head = head_side.head(source(model, tokens=TOKENS), encoder="peer-timeout=5000")
    head.expect_error(r"(?i)model", 20)
    tail.expect_error(r"(?i)model", 20)
    check(tail.text == b"", f"text from a model that does not fit: {tail.text!r}")


def test_dynudpsink_answers_at_the_reply_port():
    """dynudpsink answers the address a session came from, at the head's reply-port."""
    harness.needs("dynudpsink")
    model = tiny_model()
    udp = Udp(model)
    tail = udp.tail(back=f"dynudpsink {harness.SINK}")
    head = udp.head(source(model, tokens=TOKENS), encoder=f"reply-port={udp.reply_port}")
    expect_loop(head, tail, whole_text(model, tokens=TOKENS))


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
