#!/usr/bin/python3
"""Several heads, one tail: over udp with dynudpsink, which answers each where it is."""
import signal

import harness
from harness import Udp, check, source, tiny_model, whole_text

TOKENS = 60
SLOW = "testslow ns-per-row=2000000"


def serve(prompts, tokens=TOKENS, decoder="", sessions=None):
    """A tail, and a head for each prompt, each with its own answer; returns the tail, which has ended."""
    harness.needs("dynudpsink")
    model = tiny_model()
    first = Udp(model)
    tail = first.tail(sessions=sessions or len(prompts), decoder=decoder, before_tail=SLOW, back=f"dynudpsink {harness.SINK}")
    heads = []
    for prompt in prompts:
        udp = Udp(model)
        udp.port = first.port
        heads.append(udp.head(f"{source(model, prompt, tokens, 'name=s')}  s.answer ! TEXT  s.", encoder=f"reply-port={udp.reply_port}"))
    for head, prompt in zip(heads, prompts):
        head.expect(0)
        harness.expect_text(head, whole_text(model, prompt, tokens))
    return tail


def test_two_heads():
    """Each reads its own answer; the tail has written both, in some order of their pieces."""
    prompts = "Hello there", "Something else, and longer"
    tail = serve(prompts)
    tail.expect(0)
    model = tiny_model()
    expected = b"".join(whole_text(model, prompt, TOKENS) for prompt in prompts)
    check(sorted(tail.text) == sorted(expected), f"the tail wrote {tail.text!r}, together it should be {expected!r}")


def test_five_heads():
    serve([f"Head {number} of five" for number in range(5)], 30).expect(0)


def test_more_heads_than_max_peers():
    """One too many is refused with a readable error, and the others do not notice."""
    harness.needs("dynudpsink")
    model, tokens = tiny_model(), 400
    first, second = Udp(model), Udp(model)
    second.port = first.port
    tail = first.tail(sessions=-1, decoder="max-peers=1", before_tail="testslow ns-per-row=5000000", back=f"dynudpsink {harness.SINK}")
    head = first.head(source(model, tokens=tokens), encoder=f"reply-port={first.reply_port}")
    tail.wait_text(3)
    refused = second.head(source(model, tokens=tokens), encoder=f"reply-port={second.reply_port}")
    refused.expect_error("(?i)the tail is full", 20)
    head.expect(0)
    harness.wait_for(lambda: tail.text == whole_text(model, tokens=tokens), 10, "the text of the head that was served")
    tail.signal(signal.SIGINT)
    tail.wait(5)


def test_one_after_the_other():
    """num-sessions=3: the tail leaves after the third."""
    model = tiny_model()
    udp = Udp(model)
    tail = udp.tail(sessions=3)
    text = b""
    for number in range(3):
        check(tail.process.poll() is None, f"the tail left early\n{tail.report()}")
        udp.head(source(model, f"Number {number}", 20)).expect(0)
        text += whole_text(model, f"Number {number}", 20)
    tail.expect(0)
    harness.expect_text(tail, text)


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
