"""What the network tests share: gst-launch processes, free ports, datagram relays, a TAP runner. Python's standard library alone.

The environment comes from Meson (see meson.build): GST_PLUGIN_PATH, GST_REGISTRY, ST_TINY_MODEL. A driver may be run by hand
inside `meson devenv -C BUILD` or with `meson test -C BUILD NAME --test-args=...`.
"""
import argparse
import atexit
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HOST = "127.0.0.1"
REAL_MODEL = ".cache/SmolLM2-135M-Instruct.Q4_1.gguf"
SOURCE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 60.0  # seconds; nothing here takes that long on a quiet machine


class Failure(Exception):
    """The test has failed; the text says how."""


class Skip(Exception):
    """The test cannot run here; the text says why."""


def check(condition, text):
    if not condition:
        raise Failure(text)


# ---- models and files ----

def tiny_model():
    path = os.environ.get("ST_TINY_MODEL", "")
    if not os.path.isfile(path):
        raise Skip("ST_TINY_MODEL names no file: run through meson test")
    return path


def tool(variable):
    """A program of ours, named by the environment."""
    program = os.environ.get(variable, "")
    if not os.path.isfile(program):
        raise Skip(f"{variable} names no program: run through meson test")
    return program


def make_model(path, *arguments):
    """Another tiny model: of another seed, another type ..."""
    subprocess.run([tool("ST_MAKE_TINY_MODEL"), *arguments, path], check=True)
    return path


def real_model():
    path = os.environ.get("ST_TEST_MODEL") or os.path.join(SOURCE_ROOT, REAL_MODEL)
    if not os.path.isfile(path):
        raise Skip(f"no model at {path}: run pipelines/fetch-model")
    return path


_folder = None


def scratch(name=""):
    """A path in a folder that goes when the driver ends."""
    global _folder
    if _folder is None:
        _folder = tempfile.mkdtemp(prefix="st-network-")
        atexit.register(shutil.rmtree, _folder, True)
    return os.path.join(_folder, name)


def long_prompt(n_bytes, seed=1):
    """A file of text without any meaning, about as many tokens of the tiny model as bytes."""
    generator = random.Random(seed)
    path = scratch(f"prompt-{n_bytes}-{seed}.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("".join(generator.choice("QXZVKWJYUPG0123456789") for _ in range(n_bytes)))
    return path


# ---- ports ----

_ports = set()


def free_port(kind=socket.SOCK_DGRAM):
    """A port nobody uses, below those that the system hands out by itself (udpsink binds one of them)."""
    while True:
        port = random.randrange(10000, 32000)
        if port in _ports:
            continue
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _ports.add(port)
        return port


def wait_for(condition, seconds, what):
    """The condition's first true value, looked at every few milliseconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.005)


def bound_ports(table):
    """Local ports in /proc/net/{udp,tcp}."""
    with open(f"/proc/net/{table}", encoding="ascii") as file:
        next(file)
        return {int(line.split()[1].rpartition(":")[2], 16) for line in file}


def wait_bound(port, table="udp", seconds=20.0):
    wait_for(lambda: port in bound_ports(table), seconds, f"{table} port {port} opened")


# ---- processes ----

_processes = []


@atexit.register
def _kill_leftovers():
    for process in _processes:
        process.kill()


def launch_program():
    return os.environ.get("ST_GST_LAUNCH") or shutil.which("gst-launch-1.0") or "gst-launch-1.0"


def sanitized():
    """The run-time library of a sanitizer that the plugin was built with; gst-launch, which was not, has to load it first."""
    return os.environ.get("ST_SANITIZER", "")


def launch_environment(seed):
    environment = {**os.environ, "ST_TEST_SEED": seed}
    if sanitized():
        environment["LD_PRELOAD"] = sanitized()
        # GLib has no frame pointers: without slow unwinding leaks of others are not known as theirs
        environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":fast_unwind_on_malloc=0"
    return environment


class Pipeline:
    """A gst-launch process. The word TEXT in the string stands for a sink whose bytes are collected in `text`; standard output
    (messages of the bus, with -m) and errors are collected in `log`. Threads read both, so it never blocks on a full pipe."""

    def __init__(self, string, name="pipeline", stdin=None, options=("-m",), prefix=()):
        reader, writer = os.pipe()
        words = [word for part in shlex.split(string)
                 for word in (f"fdsink fd={writer} sync=false async=false".split() if part == "TEXT" else [part])]
        self.name = name
        self.string = string
        self.seed = os.environ.get("ST_TEST_SEED") or str(random.randrange(1 << 31))
        self.text = b""
        self.log = ""
        self._changed = threading.Condition()
        self.process = subprocess.Popen([*prefix, launch_program(), *options, *words], stdin=stdin or subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[writer],
                                        env=launch_environment(self.seed))
        os.close(writer)
        self.stdin = self.process.stdin
        self._readers = [threading.Thread(target=self._read_text, args=(reader,), daemon=True),
                         threading.Thread(target=self._read_log, daemon=True)]
        for thread in self._readers:
            thread.start()
        _processes.append(self)

    def _read_text(self, reader):
        while data := os.read(reader, 65536):
            with self._changed:
                self.text += data
                self._changed.notify_all()
        os.close(reader)

    def _read_log(self):
        for line in self.process.stdout:
            with self._changed:
                self.log += line.decode("utf-8", "replace")
                self._changed.notify_all()

    def report(self):
        lines = [line for line in self.log.splitlines()
                 if not re.match(r"Got message #\d+ from .*\((state-changed|stream-status|tag|latency|async-done|stream-start)\)", line)]
        return (f"{self.name}: status {self.process.poll()}, {len(self.text)} bytes of text {self.text[-80:]!r}, "
                f"ST_TEST_SEED={self.seed}\n"
                f"  {self.string}\n  " + "\n  ".join(lines[-25:]))

    def _wait_until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        with self._changed:
            while not condition():
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(min(left, 0.1)) and self.process.poll() is not None and not condition():
                    raise Failure(f"{self.name}: {what} did not come\n{self.report()}")

    def wait_text(self, n_bytes=1, seconds=PATIENCE):
        self._wait_until(lambda: len(self.text) >= n_bytes, seconds, f"text of {n_bytes} bytes")

    def wait_log(self, pattern, seconds=PATIENCE):
        self._wait_until(lambda: re.search(pattern, self.log), seconds, f"/{pattern}/ in the log")

    def wait(self, seconds=PATIENCE):
        """The exit status; a process that is still there after so long is killed and fails the test."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = self.report()
            self.kill()
            raise Failure(f"still running after {seconds} s\n{late}") from None
        for thread in self._readers:
            thread.join(5)
        return status

    def expect(self, status=0, seconds=PATIENCE):
        """Waits for the end and compares the exit status. Returns self."""
        got = self.wait(seconds)
        check(got == status, f"exit status {got}, expected {status}\n{self.report()}")
        return self

    def expect_error(self, pattern, seconds=PATIENCE):
        """Waits for an end with an error whose text a person can read, and which matches."""
        status = self.wait(seconds)
        check(status not in (0, None) and status > 0, f"exit status {status}, expected an error\n{self.report()}")
        check(re.search(pattern, self.errors()), f"no error like /{pattern}/\n{self.report()}")
        return self

    def errors(self):
        # not at the begin of a line: standard output and errors come through one pipe
        return "\n".join(re.findall(r"ERROR: .*", self.log))

    def stats(self, name):
        """The last element message of that name, its integers and floats by key."""
        found = re.findall(rf"\(element\): {re.escape(name)}, (.*)", self.log)
        check(found, f"no message {name}\n{self.report()}")
        return {key: float(value) for key, value in re.findall(r"([a-z-]+)=\([a-z0-9]+\)(-?[0-9.e+-]+)", found[-1])}

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()


def run(string, name="pipeline", seconds=PATIENCE, **options):
    """Runs a string to its end, which has to be a good one; returns the finished pipeline."""
    return Pipeline(string, name, **options).expect(0, seconds)


def expect_text(pipeline, text):
    check(pipeline.text == text, f"another text: {len(text)} bytes expected, {text[-200:]!r}\n{pipeline.report()}")


# ---- the strings ----

def source(model, prompt="Hello there", tokens=48, more="", location=None):
    """tokensrc, greedy. The tiny model's text is gibberish, but always the same."""
    said = f"location={shlex.quote(location)}" if location else f"prompt={shlex.quote(prompt)}"
    return f"tokensrc model={shlex.quote(model)} {said} temperature=0 max-tokens={tokens} {more}"


_texts = {}


def whole_text(model, prompt="Hello there", tokens=48, more="", location=None):
    """The text of the uncut model in one process: what every other way has to give."""
    key = (model, prompt, tokens, more, location)
    if key not in _texts:
        string = f"{source(model, prompt, tokens, more, location)} ! transformertail model={shlex.quote(model)} layers=all ! TEXT"
        _texts[key] = run(string, "whole model").text
        check(len(_texts[key]) >= min(tokens, 8), f"the whole model wrote only {_texts[key]!r}")
    return _texts[key]


UDP_SOURCE = "buffer-size=4000000 reuse=false"
SINK = "sync=false async=false"


def lossy(probability):
    """Drops buffers by chance; testslow is there for its plugin, which seeds that chance anew in every process."""
    return f"testslow ! identity drop-probability={probability}"


class Udp:
    """The two ends of a loop over udp on loopback, as in the README."""

    def __init__(self, model, split=2, codec="f32", tail_host=HOST, head_host=HOST):
        self.model = shlex.quote(model)
        self.split, self.codec = split, codec
        self.tail_host, self.head_host = tail_host, head_host
        self.port = free_port()
        self.reply_port = free_port()

    def head_string(self, says, encoder="", before_sink="", port=None, split=None):
        before = f"! {before_sink} " if before_sink else ""
        return (f"{says} ! transformerhead model={self.model} split-layer={split or self.split}"
                f" ! rdencoder name=e codec={self.codec} {encoder} {before}! udpsink host={self.tail_host} port={port or self.port} {SINK}"
                f"  udpsrc port={self.reply_port} {UDP_SOURCE} ! queue ! rdparse ! e.feedback")

    def tail_string(self, sessions=1, decoder="", before_tail="", before_sink="", port=None, back=None):
        before = f"! {before_sink} " if before_sink else ""
        slow = f"! {before_tail} " if before_tail else ""
        back = back or f"udpsink host={self.head_host} port={port or self.reply_port} {SINK}"
        return (f"udpsrc port={self.port} {UDP_SOURCE} ! queue ! rdparse ! rddecoder name=d num-sessions={sessions} {decoder} {slow}"
                f"! transformertail model={self.model} ! TEXT  d.feedback {before}! {back}")

    def tail(self, **options):
        """A running tail whose port is open."""
        prefix = options.pop("prefix", ())
        pipeline = Pipeline(self.tail_string(**options), "tail", prefix=prefix)
        if not prefix:
            wait_bound(self.port)
        return pipeline

    def head(self, says, **options):
        prefix = options.pop("prefix", ())
        return Pipeline(self.head_string(says, **options), "head", prefix=prefix)


def expect_loop(head, tail, text, seconds=PATIENCE):
    """Both sides end well and the tail has written the text."""
    head.expect(0, seconds)
    tail.expect(0, seconds)
    expect_text(tail, text)


# ---- datagrams ----

class Relay(threading.Thread):
    """Takes datagrams at `port` and sends them on to `target`, from one address. Each may be dropped, doubled or held back (which
    reorders), by chance from a seed. `rate` (bytes a second) makes them wait for each other, and those that would wait longer than
    `longest_wait` are dropped, as by a router. `seen` holds what went on, the last few thousand."""

    def __init__(self, target, drop=0.0, double=0.0, hold=0.0, hold_seconds=0.05, rate=0, longest_wait=1.0, seed=1):
        super().__init__(daemon=True)
        self.port = free_port()
        self.target = target
        self.drop, self.double, self.hold, self.hold_seconds = drop, double, hold, hold_seconds
        self.rate, self.longest_wait = rate, longest_wait
        self.dropped = 0
        self.seen = []
        self._free_at = 0.0
        self._chance = random.Random(seed)
        self._stopped = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4000000)
        self._socket.bind((HOST, self.port))
        self.start()

    def run(self):
        held = []
        while not self._stopped.is_set():
            self._socket.settimeout(0.002 if held else 0.05)
            try:
                datagram = self._socket.recv(65536)
            except (TimeoutError, ConnectionRefusedError):
                datagram = None
            if datagram is not None:
                held += self._due(datagram)
            now = time.monotonic()
            for due, datagram in held:
                if due <= now:
                    self.send(datagram)
                    self.seen = self.seen[-4000:] + [datagram]
            held = [item for item in held if item[0] > now]
        self._socket.close()

    def _due(self, datagram):
        """When it goes on: (time, datagram) for each copy."""
        due = time.monotonic()
        if self.rate:
            due = max(due, self._free_at) + len(datagram) / self.rate
        if self._chance.random() < self.drop or due > time.monotonic() + self.longest_wait:
            self.dropped += 1
            return []
        if self.rate:
            self._free_at = due
        if self._chance.random() < self.hold:
            due += self.hold_seconds
        return [(due, datagram)] * (2 if self._chance.random() < self.double else 1)

    def send(self, datagram):
        """One more datagram to the target, from the relay's address."""
        try:
            self._socket.sendto(datagram, (HOST, self.target))
        except ConnectionRefusedError:
            pass

    def stop(self):
        self._stopped.set()
        self.join()


# ---- TAP ----

def options(*more):
    """The command line of a driver: names of tests to run, and options of its own: (flag, keywords of add_argument)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="run only tests whose name contains one of these")
    for flag, keywords in more:
        parser.add_argument(flag, **keywords)
    return parser.parse_args()


def comment(text):
    """Lines for the reader of the log."""
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def needs(*elements):
    """Skips a test whose GStreamer elements are not installed."""
    program = shutil.which("gst-inspect-1.0")
    for element in elements:
        if program and subprocess.run([program, "--exists", element], check=False).returncode:
            raise Skip(f"no element {element} here")


def main(tests, arguments):
    """Runs the functions and prints TAP; the exit status says whether all passed."""
    chosen = [t for t in tests if not arguments.names or any(name in t.__name__ for name in arguments.names)]
    print("TAP version 13")
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, test in enumerate(chosen, 1):
        name = test.__name__.removeprefix("test_").replace("_", " ")
        started = time.monotonic()
        result, note = "ok", ""
        try:
            test()
        except Skip as reason:
            note = f" # SKIP {reason}"
        except Failure as failure:
            result = "not ok"
            comment(failure)
        except Exception:  # a defect of the driver itself
            result = "not ok"
            comment(traceback.format_exc())
        finally:
            while _processes:
                _processes.pop().kill()
        failed += result != "ok"
        print(f"{result} {number} - {name}{note}")
        comment(f"{time.monotonic() - started:.1f} s")
    sys.exit(1 if failed else 0)
