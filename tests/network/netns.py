#!/usr/bin/python3
"""The udp loop between two network namespaces: other addresses than loopback's, and a link with delay, loss, reordering and a rate.

Needs root, ip netns and tc; skipped elsewhere. The names carry the process id; everything is taken down again.
"""
import atexit
import os
import shutil
import subprocess
import time

import harness
from harness import Skip, Udp, check, comment, source, tiny_model, whole_text

TOKENS = 24
NAMES = [f"st{os.getpid()}h", f"st{os.getpid()}t"]
ADDRESSES = ["10.213.7.1", "10.213.7.2"]
_up = []


def ip(*arguments, program="ip"):
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True)


def take_down():
    for name in NAMES:
        ip("netns", "del", name)


def set_up():
    """Two namespaces and a cable, once; skips the test where that is not allowed."""
    if _up:
        return
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
        raise Skip("needs root, ip and tc")
    atexit.register(take_down)
    commands = [("netns", "add", name) for name in NAMES]
    commands.append(("link", "add", NAMES[0], "netns", NAMES[0], "type", "veth", "peer", "name", NAMES[1], "netns", NAMES[1]))
    for name, address in zip(NAMES, ADDRESSES):
        commands += [("-n", name, "addr", "add", f"{address}/24", "dev", name), ("-n", name, "link", "set", name, "up"),
                     ("-n", name, "link", "set", "lo", "up")]
    for command in commands:
        done = ip(*command)
        if done.returncode:
            raise Skip(f"ip {' '.join(command)}: {done.stderr.strip()}")
    _up.append(True)


def shape(*netem):
    """How both directions of the cable are; skips where the kernel has no netem."""
    for name in NAMES:
        ip("-n", name, "qdisc", "del", "dev", name, "root", program="tc")
        if netem:
            done = ip("-n", name, "qdisc", "add", "dev", name, "root", "netem", *netem, program="tc")
            if done.returncode:
                raise Skip(f"tc netem {' '.join(netem)}: {done.stderr.strip()}")


def loop(*netem, says=None, text=None, codec="f32"):
    model = tiny_model()
    set_up()
    shape(*netem)
    udp = Udp(model, codec=codec, head_host=ADDRESSES[0], tail_host=ADDRESSES[1])
    expected = text or whole_text(model, tokens=TOKENS)
    tail = udp.tail(prefix=("ip", "netns", "exec", NAMES[1]))
    head = udp.head(says or source(model, tokens=TOKENS), prefix=("ip", "netns", "exec", NAMES[0]))
    harness.expect_loop(head, tail, expected)
    stats = head.stats("rdencoder-stats")
    comment(f"{stats['frames']:.0f} frames, {stats['retransmitted-frames']:.0f} of them again, round trip"
            f" {stats['round-trip-us'] / 1000:.1f} ms")
    return stats


def test_plain_cable():
    check(loop()["retransmitted-frames"] < TOKENS, "nearly everything was sent twice over a good cable")


def test_delay():
    """50 ms each way."""
    stats = loop("delay", "50ms")
    check(stats["round-trip-us"] > 90000, f"a round trip of {stats['round-trip-us'] / 1000:.1f} ms was measured")


def test_loss_and_reordering():
    loop("delay", "10ms", "5ms", "loss", "10%", "duplicate", "5%", "reorder", "25%")


def test_narrow_link():
    """A prompt of 600 tokens over 1 Mbit/s with a short queue: the window holds back."""
    model = tiny_model()
    prompt = harness.long_prompt(600)
    started = time.monotonic()
    stats = loop("rate", "1mbit", "limit", "100", says=source(model, tokens=4, location=prompt),
                 text=whole_text(model, tokens=4, location=prompt), codec="f32")
    took = time.monotonic() - started
    check(took > stats["bytes"] * 8 / 1.1e6, f"{stats['bytes']} bytes in {took:.1f} s is more than the link carries")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
