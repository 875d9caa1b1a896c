#!/usr/bin/env python3
"""paper-grid on Ctrl-C, with a program in place of the tools that takes its time to end."""
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 30
TOOL = f"""#!{sys.executable}
import signal, sys, time
output = sys.argv[-1]
signals = []
signal.signal(signal.SIGINT, lambda *_: signals.append(1))
open(output, "w").write("begun")
while sys.argv[1] != "windows" and not signals:
    time.sleep(.02)
time.sleep(.5 * len(signals))
open(output, "w").write(f"{{sys.argv[1]}} ended after {{len(signals)}}")
sys.exit(130 if signals else 0)
"""


def wait_for(path, content):
    until = time.monotonic() + PATIENCE
    while not (os.path.exists(path) and open(path, encoding="utf-8").read() == content):
        assert time.monotonic() < until, f"{path} does not become {content}"
        time.sleep(.02)


def interrupted(folder, number):
    """Runs paper-grid up to the first step that waits, and interrupts it: a terminal's Ctrl-C, which every process of the group gets, or another signal."""
    command = [sys.executable, f"{ROOT}/pipelines/experiments/paper-grid", "--build", folder, "--work", f"{folder}/grid", "--results", folder]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(f"{folder}/grid/start-2.gguf.part", "begun")
    os.killpg(process.pid, number)
    log = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130, (process.returncode, log)
    assert "Traceback" not in log and "To go on: " in log and f"--work {folder}/grid" in log, log
    wait_for(f"{folder}/grid/start-2.gguf.part", "calibrate ended after 1")
    os.unlink(f"{folder}/grid/start-2.gguf.part")
    return log


with tempfile.TemporaryDirectory() as temporary:
    os.makedirs(f"{temporary}/pipelines")
    os.makedirs(f"{temporary}/grid")
    with open(f"{temporary}/pipelines/rdtrain", "w", encoding="utf-8") as tool:
        tool.write(TOOL)
    os.chmod(tool.name, 0o755)
    with open(f"{temporary}/grid/words.jsonl", "w", encoding="utf-8"):
        pass
    first = interrupted(temporary, signal.SIGINT)
    wait_for(f"{temporary}/grid/windows.json", "windows ended after 0")
    again = interrupted(temporary, signal.SIGTERM)
    assert "windows.json" in first and "windows.json" not in again, (first, again)
    assert sorted(os.listdir(f"{temporary}/grid")) == ["windows.json", "words.jsonl"]
