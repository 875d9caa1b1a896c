#!/usr/bin/python3
"""The README's first command on the model that comes with the project, where there is no network but loopback."""
import os
import re
import shutil
import subprocess

import harness
from harness import Skip, check, comment, whole_text

MODEL = os.path.join(harness.SOURCE_ROOT, "models/files/tiny-english-4m.gguf")
QUICKSTART = os.path.join(harness.SOURCE_ROOT, "pipelines/quickstart")
TOKENS = 32
SECONDS = 120


def quickstart(*arguments, **settings):
    """What it prints. Alone on its machine, as far as it can see, if this user may make a network namespace."""
    if harness.sanitized():
        raise Skip("quickstart loads no sanitizer")
    command = [QUICKSTART, "--offline", *arguments]
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if os.geteuid() == 0 and shutil.which("ip") and subprocess.run([*alone, "true"], capture_output=True, check=False).returncode == 0:
        command = alone + command
    else:
        comment("needs root, ip and unshare to take the network away: runs with it")
    environment = dict(os.environ, BUILD=os.environ["ST_BUILD"], MAX_TOKENS=str(TOKENS), TEMPERATURE="0", **settings)
    environment.pop("MODEL", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    check(done.returncode == 0, f"quickstart ended with status {done.returncode}: {done.stderr}")
    return done.stdout


def test_text_of_the_whole_model():
    printed = quickstart("In the beginning", CODEC="f32")
    expected = whole_text(MODEL, prompt="In the beginning", tokens=TOKENS).decode()
    check(printed.startswith(expected + "\n"), f"{printed!r} is not {expected!r}")


def check_figures(printed, name):
    """A codec file of this model takes less than fp16's bits."""
    found = re.search(rf"codec {re.escape(name)}: (\d+) bits a token of (\d+) raw", printed)
    check(found, f"no figures of {name} at the end of {printed!r}")
    check(int(found[1]) < int(found[2]) / 2, f"{found[1]} bits of {found[2]}")


def test_codec_file():
    check_figures(quickstart(), "rdcodec-tiny-english-4m-split2.gguf")


def test_trained_codec():
    """Both halves run with the file's adapters."""
    check_figures(quickstart("--codec", "trained"), "rdcodec-tiny-english-4m-split2-trained.gguf")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
