#!/usr/bin/python3
"""Token side information over udp: tails that are killed and datagrams that vanish change nothing of the text, features and all.

ST_TEST_CODEC_SIDE names a codec file that predicts from tokens (rdtrain calibrate --side-info=embedding or blocks=N), made for the tests' tiny
model or for SmolLM2-135M (ST_TEST_MODEL); without it everything is skipped.
"""
import importlib.util
import os
import pathlib
import shlex
import struct
import time

import harness
from harness import Relay, Skip, Udp, check, comment, expect_loop, expect_text, source

TOKENS = 100
SLOW = "testslow ns-per-row=5000000"
PROMPT = "It was a dark and stormy night; the rain fell in torrents"


def gguf_keys(path):
    """Keys of a GGUF file and the bytes of their values, by the reader of model-id.py."""
    place = pathlib.Path(__file__).resolve().parents[1] / "support" / "model-id.py"
    spec = importlib.util.spec_from_file_location("model_id", place)
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    keys = reader.read(pathlib.Path(path).read_bytes())[0]
    return {key.decode(): value for key, (_kind, value) in keys.items()}


class Codec:
    """The codec file, and the model that it was made for."""

    def __init__(self):
        self.path = os.environ.get("ST_TEST_CODEC_SIDE", "")
        if not self.path:
            raise Skip("ST_TEST_CODEC_SIDE names no codec file that predicts from tokens")
        check(os.path.isfile(self.path), f"ST_TEST_CODEC_SIDE: there is no file {self.path}")
        keys = gguf_keys(self.path)
        self.split, = struct.unpack("<I", keys["rdcodec.split_layer"])
        self.side_info = keys["rdcodec.side_info"][8:].decode()
        check(self.side_info in ("embedding", "blocks"), f"{self.path} does not predict from tokens (side_info is {self.side_info})")
        tiny = harness.tiny_model()
        same = gguf_keys(tiny)["llama.embedding_length"] == keys["rdcodec.hidden_size"]
        self.model = tiny if same else harness.real_model()

    def modes(self):
        """Values of token-side-info that it can be used with."""
        return ["all", "generated"] if self.side_info == "embedding" else ["all"]

    def ends(self, mode):
        """Properties of rdencoder and of rddecoder."""
        both = f"codec={shlex.quote(self.path)} model={shlex.quote(self.model)}"
        return f"{both} token-side-info={mode}", both


class Loop(Udp):
    """The two ends, with side information."""

    def __init__(self, codec, mode):
        super().__init__(codec.model, codec.split, shlex.quote(codec.path))
        self.encoder, self.decoder = codec.ends(mode)

    def head_string(self, says, encoder="", **options):
        return super().head_string(says, f"{self.encoder} {encoder}", **options)

    def tail_string(self, decoder="", **options):
        return super().tail_string(decoder=f"{self.decoder} {decoder}", **options)

    def says(self, tokens=TOKENS, location=None):
        return source(self.model, PROMPT, tokens, location=location)


_texts = {}


def undisturbed(codec, mode, tokens=TOKENS, location=None):
    """The text by way of the codec pair in one process. It is another than the uncut model's: the codec loses a little."""
    key = (mode, tokens, location)
    if key not in _texts:
        model = shlex.quote(codec.model)
        encoder, decoder = codec.ends(mode)
        string = (f"{source(codec.model, PROMPT, tokens, location=location)} ! transformerhead model={model} split-layer={codec.split}"
                  f" ! rdencoder {encoder} ! rddecoder {decoder} ! transformertail model={model} ! TEXT")
        done = harness.run(string, "one process")
        check_ids(done, mode)
        check(len(done.text) >= 8, f"the text is only {done.text!r}")
        _texts[key] = done.text
    return _texts[key]


def check_ids(head, mode):
    """`all` has to send the prompt's ids, and `generated` must not."""
    ids = head.stats("rdencoder-stats")["id-bytes"]
    check((ids > 0) == (mode == "all"), f"token-side-info={mode} has sent {ids:.0f} bytes of ids\n{head.report()}")


def finish(head, tail, text, mode):
    expect_loop(head, tail, text)
    check_ids(head, mode)


def test_frames_of_one_token():
    """How the prompt is cut into frames changes nothing."""
    codec = Codec()
    for mode in codec.modes():
        loop = Loop(codec, mode)
        tail = loop.tail()
        finish(loop.head(loop.says(), encoder="frame-tokens=1"), tail, undisturbed(codec, mode), mode)


def test_tail_killed_and_restarted():
    """Frames and ids are replayed to the new tail, whose predictor begins anew with them."""
    codec = Codec()
    for mode in codec.modes():
        text = undisturbed(codec, mode)
        loop = Loop(codec, mode)
        first = loop.tail(before_tail=SLOW)
        head = loop.head(loop.says())
        first.wait_text(len(text) // 4)
        first.kill()
        check(0 < len(first.text) < len(text), "the first tail was not killed in the middle of the answer")
        check(text.startswith(first.text), f"the first tail wrote {first.text!r}, expected {text!r}")
        time.sleep(0.5)
        finish(head, loop.tail(before_tail=SLOW), text, mode)


def test_tail_killed_twice_with_loss():
    codec = Codec()
    for mode in codec.modes():
        text = undisturbed(codec, mode)
        loop = Loop(codec, mode)
        manners = {"before_tail": SLOW, "before_sink": harness.lossy(0.1)}
        tail = loop.tail(**manners)
        head = loop.head(loop.says(), before_sink=harness.lossy(0.1))
        for part in (8, 4):
            tail.wait_text(len(text) // part)
            tail.kill()
            tail = loop.tail(**manners)
        finish(head, tail, text, mode)


def test_tail_killed_in_the_prompt():
    codec = Codec()
    prompt = harness.long_prompt(1500)
    for mode in codec.modes():
        loop = Loop(codec, mode)
        first = loop.tail(before_tail="testslow ns-per-row=3000000")
        head = loop.head(loop.says(16, prompt))
        time.sleep(0.7)
        check(first.text == b"" and first.process.poll() is None, "the first tail was too fast")
        first.kill()
        second = loop.tail()
        expect_loop(head, second, undisturbed(codec, mode, 16, prompt))


def test_loss_both_ways():
    codec = Codec()
    for mode in codec.modes():
        text = undisturbed(codec, mode)
        loop = Loop(codec, mode)
        identity = harness.lossy(0.2)
        tail = loop.tail(before_sink=identity)
        head = loop.head(loop.says(), before_sink=identity, encoder="frame-tokens=8")
        finish(head, tail, text, mode)
        again = head.stats("rdencoder-stats")["retransmitted-frames"]
        check(again > 0, "not one frame was lost: the test has tested nothing")
        comment(f"{mode}: {again:.0f} frames sent again")


def test_all_at_once():
    """A long prompt; datagrams vanish, come twice and late."""
    codec = Codec()
    prompt = harness.long_prompt(600)
    manners = {"drop": 0.1, "double": 0.2, "hold": 0.2}
    for mode in codec.modes():
        text = undisturbed(codec, mode, 24, prompt)
        loop = Loop(codec, mode)
        forth, back = Relay(loop.port, seed=3, **manners), Relay(loop.reply_port, seed=4, **manners)
        tail = loop.tail(port=back.port)
        head = loop.head(loop.says(24, prompt), port=forth.port, encoder="frame-tokens=4")
        try:
            finish(head, tail, text, mode)
        finally:
            forth.stop()
            back.stop()


def test_restarted_without_a_model():
    """The new tail says what it lacks, and so does the head."""
    codec = Codec()
    text = undisturbed(codec, "all")
    loop = Loop(codec, "all")
    first = loop.tail(before_tail=SLOW)
    head = loop.head(loop.says())
    first.wait_text(len(text) // 4)
    first.kill()
    second = harness.Pipeline(Udp.tail_string(loop, decoder=f"codec={loop.codec}"), "tail")
    second.expect_error(r"set model to its GGUF file")
    head.expect_error(r"set model to its GGUF file")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
