#!/usr/bin/env python3
"""The codecs, built by every compiler at hand and at other optimisation levels than the project's, decode their golden files to the same bytes.

usage: test-compilers.py [COMPILER FLAG...]      without arguments: gcc and clang, each at two levels
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["codec", "codec/entropy", "codec/learned", "codec/simple", "codec/wire", "models/gguf"]
SUPPORT = ["tests/support/golden-payloads.c", "tests/support/test-model.c"]
TESTS = ["learned-golden", "rans", "codec"]
BUILDS = [["gcc", "-O0"], ["gcc", "-Os"], ["clang", "-O0"], ["clang", "-O3"]]
COMMON = ["-std=c11", "-D_GNU_SOURCE", '-DST_SOURCE_ROOT="%s"' % ROOT, '-DG_LOG_DOMAIN="split-transformer"', "-ffp-contract=off", "-Werror",
          "-Wall", "-I."]


def packages(option):
    return subprocess.run(["pkg-config", option, "glib-2.0", "libzstd"], check=True, capture_output=True, text=True).stdout.split()


def run(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("%s\n%s%s" % (" ".join(map(str, command)), done.stdout, done.stderr))


def build(compiler, flags, work):
    """Programs of all tests."""
    def compile_one(source):
        target = work / (str(source).replace("/", "-") + ".o")
        run([compiler, *COMMON, *flags, *packages("--cflags"), "-c", source, "-o", target])
        return target

    sources = [path.relative_to(ROOT) for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.c"))] + SUPPORT
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
        for name in TESTS:
            program = work / name
            run([compiler, compile_one("tests/unit/test-%s.c" % name), *objects, *packages("--libs"), "-lm", "-o", program])
            yield program


def main():
    builds = [sys.argv[1:]] if len(sys.argv) > 1 else [b for b in BUILDS if shutil.which(b[0])]
    for compiler, *flags in builds:
        with tempfile.TemporaryDirectory() as work:
            for program in build(compiler, flags, pathlib.Path(work)):
                run([program])
        print(compiler, *flags, "- the same bytes")


main()
