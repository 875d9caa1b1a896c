#!/usr/bin/python3
"""Datagrams that nobody should believe, thrown at both ports of a running loop: garbage, pieces, damaged and doubled copies, another
session's frames. The text is unchanged and both sides end well.

usage: hostile.py [--seed N] [--rounds N] [NAME...]
"""
import os
import random
import socket
import threading
import time

import harness
from harness import HOST, Relay, Udp, check, comment, expect_loop, source, tiny_model, whole_text

TOKENS = 150
SLOW = "testslow ns-per-row=4000000"
ARGUMENTS = harness.options(("--seed", {"type": int, "default": 1}), ("--rounds", {"type": int, "default": 1, "help": "runs a test"}))


class Attack(threading.Thread):
    """Throws what `make` returns at a port, about a thousand datagrams a second, until stopped."""

    def __init__(self, port, make, send=None):
        super().__init__(daemon=True)
        self.sent = 0
        self._stopped = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._send = send or (lambda datagram: self._socket.sendto(datagram, (HOST, port)))
        self._make = make
        self.start()

    def run(self):
        while not self._stopped.is_set():
            datagram = self._make()
            if datagram is not None:
                try:
                    self._send(datagram)
                    self.sent += 1
                except OSError:
                    pass
            time.sleep(0.001)
        self._socket.close()

    def stop(self):
        self._stopped.set()
        self.join()
        return self.sent


def attacked(maker, from_peer=False):
    """A run through relays while both ports get what maker(seen datagrams, random) returns, from a foreign address or, with from_peer,
    from the relay's own."""
    model = tiny_model()
    for number in range(ARGUMENTS.rounds):
        chance = random.Random(ARGUMENTS.seed + number)
        udp = Udp(model)
        forth, back = Relay(udp.port), Relay(udp.reply_port)
        tail = udp.tail(port=back.port, before_tail=SLOW)
        head = udp.head(source(model, tokens=TOKENS), port=forth.port)
        attacks = [Attack(port, lambda relay=relay: maker(relay.seen, chance), relay.send if from_peer else None)
                   for relay, port in ((forth, udp.port), (back, udp.reply_port))]
        try:
            expect_loop(head, tail, whole_text(model, tokens=TOKENS))
        finally:
            sent = [attack.stop() for attack in attacks]
            forth.stop()
            back.stop()
        comment(f"{sent[0]} datagrams thrown at the tail, {sent[1]} at the head")
        check(min(sent) > 50, "hardly anything was thrown")


def garbage(_seen, chance):
    return chance.randbytes(chance.choice((0, 1, 2, 3, 11, 64, 300, 1400, 9000)))


def begins_like_a_frame(seen, chance):
    """A true beginning, then noise: lengths and counts that promise more than there is."""
    if not seen:
        return None
    datagram = chance.choice(seen)
    return datagram[:chance.randrange(1, 16)] + chance.randbytes(chance.randrange(40))


def truncated(seen, chance):
    if not seen:
        return None
    datagram = chance.choice(seen)
    return datagram[:chance.randrange(len(datagram))]


def damaged(seen, chance):
    """A bit or a few are wrong: the checksum says so."""
    if not seen:
        return None
    datagram = bytearray(chance.choice(seen))
    for _ in range(chance.randrange(1, 4)):
        datagram[chance.randrange(len(datagram))] ^= 1 << chance.randrange(8)
    return bytes(datagram)


def copied(seen, chance):
    return chance.choice(seen) if seen else None


def joined(seen, chance):
    """Several old frames in one datagram, the last one cut off."""
    if len(seen) < 3:
        return None
    return b"".join(chance.sample(seen, 3))[:-3]


def test_garbage():
    attacked(garbage)


def test_beginnings():
    attacked(begins_like_a_frame)
    attacked(begins_like_a_frame, from_peer=True)


def test_truncated_copies():
    attacked(truncated)
    attacked(truncated, from_peer=True)


def test_damaged_copies():
    attacked(damaged)
    attacked(damaged, from_peer=True)


def test_copies_from_the_peer():
    attacked(copied, from_peer=True)


def test_joined_copies_from_the_peer():
    attacked(joined, from_peer=True)


def test_copies_from_a_stranger():
    attacked(copied)


_recorded = []


def recorded_session():
    """Datagrams (states, tokens) of a finished session with other words."""
    if not _recorded:
        model = tiny_model()
        udp = Udp(model)
        forth, back = Relay(udp.port), Relay(udp.reply_port)
        tail = udp.tail(port=back.port)
        head = udp.head(source(model, "Other words", 32), port=forth.port)
        expect_loop(head, tail, whole_text(model, "Other words", 32))
        forth.stop()
        back.stop()
        _recorded.extend((forth.seen, back.seen))
    return _recorded


def test_frames_of_an_old_session():
    """What an earlier session sent, without the datagrams that would begin a session of its own."""
    states, tokens = recorded_session()
    old = states[len(states) // 2:] + tokens
    attacked(lambda _seen, chance: chance.choice(old))
    attacked(lambda _seen, chance: chance.choice(old), from_peer=True)


def test_whole_old_session_from_a_stranger():
    """A recorded session that is played again is another session to the tail; the head reads its own answer, unchanged."""
    model = tiny_model()
    states, _tokens = recorded_session()
    chance = random.Random(ARGUMENTS.seed)
    udp = Udp(model)
    tail = udp.tail(sessions=-1, before_tail=SLOW)
    head = udp.head(source(model, tokens=TOKENS, more="name=s") + "  s.answer ! TEXT  s.")
    attacks = [Attack(port, lambda: chance.choice(states)) for port in (udp.port, udp.reply_port)]
    try:
        head.expect(0)
    finally:
        sent = [attack.stop() for attack in attacks]
    harness.expect_text(head, whole_text(model, tokens=TOKENS))
    check(tail.process.poll() is None, f"the tail left\n{tail.report()}")
    check(min(sent) > 50, "hardly anything was thrown")


def test_head_of_another_model_beside():
    """While one head is served, one with another model is refused with a readable error; the first does not notice."""
    model, other = tiny_model(), harness.make_model(harness.scratch("other.gguf"), "--seed=9")
    udp, stranger = Udp(model), Udp(other)
    stranger.port = udp.port
    tail = udp.tail(before_tail=SLOW, back=f"dynudpsink {harness.SINK}")
    head = udp.head(source(model, tokens=3 * TOKENS), encoder=f"reply-port={udp.reply_port}")
    tail.wait_text(10)
    refused = stranger.head(source(other, tokens=3 * TOKENS), encoder=f"reply-port={stranger.reply_port}")
    refused.expect_error("(?i)the tail serves", 20)
    expect_loop(head, tail, whole_text(model, tokens=3 * TOKENS))


def test_garbage_before_the_head():
    """A tail that has heard nothing but noise serves the head that comes."""
    model = tiny_model()
    udp = Udp(model)
    tail = udp.tail()
    chance = random.Random(ARGUMENTS.seed)
    attack = Attack(udp.port, lambda: garbage(None, chance))
    time.sleep(0.5)
    head = udp.head(source(model, tokens=24))
    expect_loop(head, tail, whole_text(model, tokens=24))
    check(attack.stop() > 100, "hardly anything was thrown")


def resident_bytes(process):
    with open(f"/proc/{process.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_under_garbage():
    """Noise costs no memory: promised lengths are not allocated, nothing is kept for ever."""
    if harness.sanitized():
        raise harness.Skip("a sanitizer keeps what is freed")
    model = tiny_model()
    udp = Udp(model)
    states, _tokens = recorded_session()
    tail = udp.tail(sessions=-1)
    udp.head(source(model, tokens=24)).expect(0)
    time.sleep(0.3)
    before = resident_bytes(tail)
    chance = random.Random(ARGUMENTS.seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(30000):
            sender.sendto(chance.choice((garbage, begins_like_a_frame, truncated, damaged))(states, chance), (HOST, udp.port))
    time.sleep(0.5)
    grown = resident_bytes(tail) - before
    comment(f"resident memory grew by {grown / 1e6:.1f} MB")
    check(grown < 32e6, f"resident memory grew by {grown / 1e6:.1f} MB")
    head = udp.head(source(model, tokens=24))
    head.expect(0)
    text = whole_text(model, tokens=24)
    harness.wait_for(lambda: tail.text.endswith(text) and len(tail.text) >= 2 * len(text), 10, "the second head's text")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], ARGUMENTS)
