#!/usr/bin/python3
"""The example applications: the head half in C, the tail half in Python, over udp on loopback; a string that changes while it plays."""
import pathlib
import re
import statistics
import subprocess

import harness
from harness import Skip, check, free_port, tiny_model

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "pipelines" / "examples"
SECONDS = 30


def start(*arguments):
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, name):
    try:
        text, log = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise harness.Failure(f"{name} does not end: {process.communicate()[1].decode()}") from None
    check(process.returncode == 0, f"{name} ended with status {process.returncode}: {log.decode()}")
    check(b"CRITICAL" not in log, f"{name} complains: {log.decode()}")
    return text.strip(), log.decode()


def needs_python_gst():
    if harness.sanitized():
        raise Skip("Python has no sanitizer inside to load the plugin with")
    probe = "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstApp', '1.0')"
    if subprocess.run(["/usr/bin/python3", "-c", probe], capture_output=True, check=False).returncode:
        raise Skip("python3-gst-1.0 is not installed")


def test_head_in_c_and_tail_in_python():
    """Both show the same answer, and the head its figures, which change with `pack`."""
    needs_python_gst()
    model, port, reply_port = tiny_model(), free_port(), free_port()
    tail = start("/usr/bin/python3", EXAMPLES / "chat-tail.py", f"--model={model}", f"--port={port}", f"--reply-port={reply_port}")
    head = start(harness.tool("ST_EMBED_HEAD"), f"--model={model}", "--split=2", "--max-tokens=40", f"--port={port}",
                 f"--reply-port={reply_port}", "Hello", "there")
    answer, log = finish(head, "embed-head")
    text, _log = finish(tail, "chat-tail.py")
    check(answer and answer == text, f"the head shows {answer!r}, the tail {text!r}")
    check("rdencoder-stats" in log and "tokensrc-turn" in log, f"no figures: {log}")


def test_head_without_a_model():
    head = start(harness.tool("ST_EMBED_HEAD"), "--model=/nonexistent/model.gguf", "Hello")
    _text, log = head.communicate(timeout=SECONDS)
    check(head.returncode == 1, f"status {head.returncode}")
    check(b"/nonexistent/model.gguf" in log, f"the file is not named: {log.decode()}")


def test_settings_change_while_it_plays():
    """Packing on and off, and what the tokens of each setting took."""
    player = start(harness.tool("ST_CHANGE_QUALITY"), f"--model={tiny_model()}", "--split=2", "--codec=f32", "--max-tokens=400", "--step=40", "Hello")
    text, log = finish(player, "change-quality")
    shown = [(pack == "true", float(bits)) for pack, bits in re.findall(r"pack=(true|false): (\d+) bits per token", log)]
    check(text, "no text")
    check(len(shown) >= 6, f"{len(shown)} settings were shown: {log}")
    packed = [bits for pack, bits in shown if pack]
    plain = [bits for pack, bits in shown if not pack]
    # the first setting has the stream's header, and each a few tokens of the one before
    check(statistics.mean(packed[1:]) < statistics.mean(plain), f"packing makes no difference: {log}")
    check(re.search(r"on the whole: \d+ bits per token", log), f"no figure for the session: {log}")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
