#!/usr/bin/python3
"""Cut anywhere, the text is the uncut model's; several partitions in a chain, too.

usage: cut.py [--all] [NAME...]    --all: the real model cut before every block
"""
import shlex
import subprocess

import harness
from harness import Udp, check, comment, real_model, run, source, tiny_model, whole_text

ARGUMENTS = harness.options(("--all", {"action": "store_true", "help": "every cut of the real model (minutes)"}))
PROMPT = "Why is the sky blue?"
REAL = {"prompt": PROMPT, "tokens": 16, "more": "chat-template=auto"}


def cut_text(model, split, codec="f32", **says):
    """One process, through the codec pair."""
    quoted = shlex.quote(model)
    return run(f"{source(model, **says)} ! transformerhead model={quoted} split-layer={split} ! rdencoder codec={codec} ! rddecoder"
               f" ! transformertail model={quoted} ! TEXT", f"cut before {split}").text


def chain_text(model, borders, **says):
    """Partitions from border to border, a codec pair after each but the last."""
    quoted = shlex.quote(model)
    pair = "rdencoder codec=f32 ! rddecoder"
    heads = [f"transformerhead model={quoted} split-layer={borders[0]} ! {pair}"]
    heads += [f"transformerhead model={quoted} layers={a}-{b} ! {pair}" for a, b in zip(borders, borders[1:])]
    return run(f"{source(model, **says)} ! {' ! '.join(heads)} ! transformertail model={quoted} ! TEXT", f"cut before {borders}").text


def expect_same(model, texts, **says):
    expected = whole_text(model, **says)
    for name, text in texts:
        check(text == expected, f"{name}: {text!r}, the uncut model wrote {expected!r}")


def test_tiny_model_cut_everywhere():
    model = tiny_model()
    expect_same(model, ((f"cut before {k}", cut_text(model, k)) for k in (1, 2, 3)))


def test_tiny_model_in_three_and_four():
    model = tiny_model()
    expect_same(model, (("three", chain_text(model, (1, 3))), ("four", chain_text(model, (1, 2, 3)))))


def test_three_processes():
    """Head, middle and tail, each a process, over udp with a tenth of all datagrams lost."""
    model = tiny_model()
    lossy = harness.lossy(0.1)
    first, second = Udp(model, split=1), Udp(model)
    tail = second.tail(before_sink=lossy)
    middle = harness.Pipeline(
        f"udpsrc port={first.port} {harness.UDP_SOURCE} ! queue ! rdparse ! rddecoder name=d num-sessions=1 ! transformerhead model={model}"
        f" layers=1-3 ! rdencoder name=e codec=f32 ! {lossy} ! udpsink host={harness.HOST} port={second.port} {harness.SINK}"
        f"  udpsrc port={second.reply_port} {harness.UDP_SOURCE} ! queue ! rdparse ! e.feedback"
        f"  d.feedback ! {lossy} ! udpsink host={harness.HOST} port={first.reply_port} {harness.SINK}", "middle")
    harness.wait_bound(first.port)
    head = first.head(source(model), before_sink=lossy)
    for pipeline in (head, middle, tail):
        pipeline.expect(0)
    harness.expect_text(tail, whole_text(model))


def test_partition_files():
    """Each side has only its half of the weights."""
    model = tiny_model()
    head, tail = harness.scratch("head.gguf"), harness.scratch("tail.gguf")
    for layers, path in (("0-2", head), ("2-4", tail)):
        subprocess.run([harness.tool("ST_RDPARTITION"), "--quiet", f"--layers={layers}", model, path], check=True)
    text = run(f"{source(head)} ! transformerhead model={head} split-layer=2 ! rdencoder codec=f32 ! rddecoder ! transformertail"
               f" model={tail} ! TEXT").text
    expect_same(model, (("from halves", text),))


def test_real_model_cut():
    model = real_model()
    cuts = range(1, 30) if ARGUMENTS.all else (1, 10, 29)
    expect_same(model, ((f"cut before {k}", cut_text(model, k, **REAL)) for k in cuts), **REAL)
    comment(f"cut before each of {list(cuts)}: {whole_text(model, **REAL)!r}")


def test_real_model_in_three():
    model = real_model()
    expect_same(model, (("three", chain_text(model, (10, 20), **REAL)),), **REAL)


def test_real_model_f16():
    """f16 keeps the text of this prompt."""
    model = real_model()
    expect_same(model, (("f16", cut_text(model, 10, "f16", **REAL)),), **REAL)


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], ARGUMENTS)
