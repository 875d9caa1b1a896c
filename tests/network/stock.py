#!/usr/bin/python3
"""Other stock transports, as in the README: tcp, shm, SRT, a file. Bytes are bytes; only the string changes."""
import os
import socket
import time

import harness
from harness import HOST, SINK, Pipeline, check, expect_loop, expect_text, free_port, run, source, tiny_model, whole_text

TOKENS = 48
SLOW = "! testslow ns-per-row=5000000"


def head_string(says, out, back, encoder=""):
    return (f"{says} ! transformerhead model={tiny_model()} split-layer=2 ! rdencoder name=e codec=f32 {encoder} ! {out}"
            f"  {back} ! rdparse ! e.feedback")


def tail_string(arrives, back, slow="", sessions=1):
    return (f"{arrives} ! rdparse ! rddecoder name=d num-sessions={sessions} {slow} ! transformertail model={tiny_model()} ! TEXT"
            f"  d.feedback ! {back}")


class Tcp:
    """The tail holds both servers and starts first."""

    def __init__(self, tokens=TOKENS, slow="", says=None):
        self.ports = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
        self.says = says or source(tiny_model(), tokens=tokens)
        self.tail = Pipeline(tail_string(f"tcpserversrc host={HOST} port={self.ports[0]}",
                                         f"tcpserversink host={HOST} port={self.ports[1]} {SINK}", slow), "tail")
        for port in self.ports:
            harness.wait_bound(port, "tcp")

    def head(self, encoder=""):
        return Pipeline(head_string(self.says, f"tcpclientsink host={HOST} port={self.ports[0]} {SINK}",
                                    f"tcpclientsrc host={HOST} port={self.ports[1]}", encoder), "head")


def test_tcp():
    tcp = Tcp()
    expect_loop(tcp.head(), tcp.tail, whole_text(tiny_model(), tokens=TOKENS))


def test_tcp_without_datagram_limit():
    """A 1500-token prompt in frames as long as they come: reads of 4096 bytes hold pieces of them."""
    prompt = harness.long_prompt(1500)
    tcp = Tcp(says=source(tiny_model(), tokens=8, location=prompt))
    head = tcp.head("max-payload-size=0")
    expect_loop(head, tcp.tail, whole_text(tiny_model(), tokens=8, location=prompt))


def test_tcp_server_absent():
    """tcpclientsink says at once that nobody is there."""
    port = free_port(socket.SOCK_STREAM)
    head = Pipeline(head_string(source(tiny_model()), f"tcpclientsink host={HOST} port={port} {SINK}",
                                f"tcpclientsrc host={HOST} port={free_port(socket.SOCK_STREAM)}"), "head")
    head.expect_error("tcpclient", 10)
    head.wait_log("(?i)refused", 1)


def test_tcp_tail_killed():
    tcp = Tcp(300, SLOW)
    head = tcp.head("peer-timeout=2000")
    tcp.tail.wait_text(10)
    tcp.tail.kill()
    started = time.monotonic()
    head.wait(10)
    head.expect_error("(?i)way back|tail|connection|socket", 1)
    check(time.monotonic() - started < 8, "the head took its time")


def test_tcp_head_killed():
    tcp = Tcp(300, SLOW)
    head = tcp.head()
    tcp.tail.wait_text(10)
    head.kill()
    tcp.tail.wait(10)
    tcp.tail.wait_log("WARNING: .*the head or the connection to it is gone", 1)
    check(whole_text(tiny_model(), tokens=300).startswith(tcp.tail.text) and tcp.tail.text, "what was received before was lost")


def test_unparsed_bytes():
    """Without rdparse, both ends say where to put it."""
    tcp_ports = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
    tail = Pipeline(f"tcpserversrc host={HOST} port={tcp_ports[0]} ! rddecoder name=d num-sessions=1 ! transformertail"
                    f" model={tiny_model()} ! TEXT  d.feedback ! tcpserversink host={HOST} port={tcp_ports[1]} {SINK}", "tail")
    for port in tcp_ports:
        harness.wait_bound(port, "tcp")
    head = Pipeline(head_string(source(tiny_model()), f"tcpclientsink host={HOST} port={tcp_ports[0]} {SINK}",
                                f"tcpclientsrc host={HOST} port={tcp_ports[1]}", "peer-timeout=1500"), "head")
    tail.expect_error("put rdparse before", 10)
    check(head.wait(15) > 0 and head.errors(), f"the head said nothing\n{head.report()}")


def test_shm():
    """States in shared memory, the way back over udp: stock shmsrc wants its socket at once, so two of them cannot wait for each
    other. GStreamer 1.22's shmsink posts an error whenever it is stopped, after EOS too, and shmsrc when the other side closes, even if
    the tail is about to leave by itself, which may cost the last piece of the text; nothing else may be wrong."""
    harness.needs("shmsink", "shmsrc")
    model, path, port = tiny_model(), harness.scratch("states.shm"), free_port()
    head = Pipeline(head_string(source(model, tokens=TOKENS), f"shmsink socket-path={path} {SINK}", f"udpsrc port={port}"), "head")
    harness.wait_for(lambda: os.path.exists(path), 10, "the socket of shmsink")
    tail = Pipeline(tail_string(f"shmsrc socket-path={path} is-live=true", f"udpsink host={HOST} port={port} {SINK}",
                                slow="! testslow ns-per-row=3000000"), "tail")
    tail.wait()
    head.wait()
    head.wait_log('Got EOS from element "pipeline0"', 1)
    for side in (head, tail):
        wrong = [line for line in side.errors().splitlines() if "GstShmS" not in line]
        check(not wrong, f"{wrong}\n{side.report()}")
    text = whole_text(model, tokens=TOKENS)
    check(text.startswith(tail.text) and len(tail.text) > len(text) - 8, f"another text: {text!r} expected\n{tail.report()}")


def test_srt():
    """srt cuts what is longer than 1316 bytes."""
    harness.needs("srtsrc", "srtsink")
    if harness.sanitized():
        raise harness.Skip("a sanitizer that is loaded first cannot follow libsrt's C++ exceptions")
    model, tokens = tiny_model(), 16
    ports = free_port(), free_port()
    listening = "latency=10 wait-for-connection=false"
    tail = Pipeline(tail_string(f'srtsrc "uri=srt://{HOST}:{ports[0]}?mode=listener" {listening}',
                                f'srtsink "uri=srt://{HOST}:{ports[1]}?mode=listener" {listening} {SINK}'), "tail")
    for port in ports:
        harness.wait_bound(port)
    head = Pipeline(head_string(source(model, tokens=tokens), f"srtsink uri=srt://{HOST}:{ports[0]} latency=10 {SINK}",
                                f"srtsrc uri=srt://{HOST}:{ports[1]} latency=10", "max-payload-size=0"), "head")
    expect_loop(head, tail, whole_text(model, tokens=tokens))


def test_file_recorded_and_scored():
    """score has the same figures from a recording as at once, and needs no way back."""
    model = tiny_model()
    recording = harness.scratch("x.rds")
    says = (f"tokensrc model={model} location={harness.long_prompt(1200)} is-live=false window-tokens=128 window-stride=128"
            f" send-ids=true ! transformerhead model={model} split-layer=2 ! rdencoder codec=f32")
    score = f"transformertail model={model} task=score score-from=64 ! fakesink {SINK}"
    at_once = run(f"{says} ! rddecoder ! {score}", "score").stats("transformertail-score")
    check(at_once["windows"] > 8 and at_once["perplexity"] > 1, f"figures {at_once}")
    sent = run(f"{says} ! filesink location={recording}", "record").stats("rdencoder-stats")
    check(0 < sent["id-bytes"] < 2 * sent["tokens"], f"{sent['id-bytes']:.0f} bytes of ids for {sent['tokens']:.0f} tokens")
    check(os.path.getsize(recording) > at_once["tokens"] * 64 * 3, f"the recording is too short: {os.path.getsize(recording)}")
    replayed = run(f"filesrc location={recording} ! rdparse ! rddecoder ! {score}", "replay").stats("transformertail-score")
    check(replayed == at_once, f"replayed {replayed}, at once {at_once}")
    found = run(f"filesrc location={recording} ! parsebin ! rddecoder ! {score}", "typefind").stats("transformertail-score")
    check(found == at_once, f"through parsebin {found}, at once {at_once}")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
