#!/usr/bin/python3
"""The evaluation tool: what it measures with the tiny model, what it says of wrong input, and what is left when it is interrupted."""
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import harness
from harness import Failure, check, scratch, tiny_model, tool

HIDDEN, VOCAB = 64, 320
FRAME = 8
POSITIONS = 80
RAW_F16 = 16 * HIDDEN
STATUS_USAGE, STATUS_INTERRUPTED = 2, 130


def write(name, text):
    path = scratch(name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def testset(name="testset.json", windows=4, positions=POSITIONS, seed=1):
    generator = random.Random(seed)
    made = [{"domain": "even odd".split()[i % 2], "ids": [0] + [generator.randrange(3, VOCAB) for _ in range(positions - 1)]}
            for i in range(windows)]
    return write(name, json.dumps({"windows": made}))


def command(*arguments, windows=None):
    return [tool("ST_RDEVAL"), f"--model={tiny_model()}", "--split=2", f"--testset={windows or testset()}", "--quiet", *arguments]


def run(*arguments, status=0, windows=None):
    done = subprocess.run(command(*arguments, windows=windows), capture_output=True, text=True, timeout=120, check=False)
    log = done.stdout + done.stderr
    check(done.returncode == status, f"status {done.returncode}, expected {status}: {log}")
    check("CRITICAL" not in log and "WARNING" not in log, log)
    return done


def results(*arguments, name="out.json", **keywords):
    path = scratch(name)
    run(f"--json={path}", *arguments, **keywords)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def points(found):
    return {(point["curve"], point.get("quality")): point for point in found["points"]}


def value(point, metric, domain="all"):
    return point["domains"][domain][metric]["value"]


def close(a, b, what):
    check(abs(a - b) < 1e-9 * max(1, abs(b)), f"{what}: {a}, expected {b}")


def test_rates_and_distortions():
    """Rates that can be worked out, distortions that have an order, one codec in two frame sizes."""
    found = results("--codec=f32:nopack", f"--codec=f16:nopack:frame-tokens=1,{FRAME}", "--codec=int8:nopack", "--codec=int8:pack",
                    "--codec=int4:nopack", f"--frame-tokens={FRAME}")
    check(found["windows"] == 4 and found["split"] == 2, str(found)[:200])
    point = {curve: p for (curve, _quality), p in points(found).items()}
    check(set(point) == {"f32:nopack", "f16:nopack@1", f"f16:nopack@{FRAME}", "int8:nopack", "int8:pack", "int4:nopack"}, str(set(point)))
    for p in point.values():
        check(p["windows"] == 4 and set(p["domains"]) == {"all", "even", "odd"}, str(p)[:200])
        wire, payload = value(p, "wire_bpt"), value(p, "payload_bpt")
        overhead = wire - payload - value(p, "header_bpt")
        check(0 < overhead <= 8 * 16, f"{p['curve']}: {overhead} bits a token of frames around {payload}")
        check(p["encode_ns_per_token"] > 0 and p["decode_ns_per_token"] > 0, "nothing was timed")
    close(value(point["f32:nopack"], "payload_bpt"), 2 * RAW_F16, "f32")
    close(value(point["f16:nopack@1"], "payload_bpt"), RAW_F16, "f16")
    close(value(point["int8:nopack"], "payload_bpt"), 8 * HIDDEN + 32, "int8")
    check(value(point["int8:pack"], "payload_bpt") <= value(point["int8:nopack"], "payload_bpt"), "packing made it larger")
    check(value(point["f16:nopack@1"], "wire_bpt") > value(point[f"f16:nopack@{FRAME}"], "wire_bpt"), "single tokens cost no more")
    for metric, expected in (("kl", 0), ("top1_agreement", 1), ("perplexity_ratio", 1)):
        close(value(point["f32:nopack"], metric), expected, f"f32 {metric}")
    kl = {curve: value(p, "kl") for curve, p in point.items()}
    check(0 < kl["f16:nopack@1"] < kl["int8:nopack"] < kl["int4:nopack"], str(kl))
    check(kl["f16:nopack@1"] == kl[f"f16:nopack@{FRAME}"] and kl["int8:nopack"] == kl["int8:pack"], str(kl))
    interval = point["int4:nopack"]["domains"]["all"]["kl"]
    check(interval["low"] < interval["value"] < interval["high"], str(interval))
    domains = [value(point["int4:nopack"], "kl", domain) for domain in ("even", "odd")]
    close(kl["int4:nopack"], sum(domains) / 2, "mean over domains of one size")


def without_times(found):
    for point in found["points"]:
        point.pop("encode_ns_per_token", None)
        point.pop("decode_ns_per_token", None)
    return found


def test_same_again():
    """The same command gives the same figures, whatever the threads; another seed gives other intervals."""
    arguments = ["--codec=int4", "--codec=rounding:step=0.5,1"]
    first = without_times(results(*arguments, "--threads=1"))
    check(first == without_times(results(*arguments, "--threads=2")), "two runs differ")
    other = without_times(results(*arguments, "--seed=2"))
    check(value(other["points"][0], "kl") == value(first["points"][0], "kl"), "the seed changes the figures")
    check(other["points"][0]["domains"]["all"]["kl"] != first["points"][0]["domains"]["all"]["kl"], "the seed changes nothing")


def test_baselines():
    """All of them are there, and what is computed says so."""
    found = results("--baselines", f"--frame-tokens={FRAME}", "--at-kl=1e-6", "--bd-rate=rounding,rounding")
    point = points(found)
    elements = {f"{codec}:{pack}@{size}" for codec in ("f16", "int8", "int4") for pack in ("pack", "nopack") for size in (1, FRAME)}
    check({curve for curve, _quality in point} == elements | {"rounding", "ids/fixed", "ids/counts", "ids/model"}, str(set(point)))
    for (curve, _quality), p in point.items():
        check(p["computed"] == (curve not in elements), curve)
    ladder = [(p["quality"], value(p, "wire_bpt"), value(p, "kl")) for p in found["points"] if p["curve"] == "rounding"]
    check(len(ladder) >= 5, str(ladder))
    for before, after in zip(ladder, ladder[1:]):
        check(before[0] < after[0] and before[1] > after[1] and before[2] < after[2], str(ladder))
    for code in ("fixed", "counts", "model"):
        check(value(point[f"ids/{code}", None], "kl") == 0, f"ids/{code} is not exact")
    check(value(point["ids/fixed", None], "wire_bpt") == 9, "320 ids take 9 bits")
    # the ids are random: nothing predicts them
    check(abs(value(point["ids/model", None], "wire_bpt") - 8.3) < 3, str(point["ids/model", None]["domains"]["all"]["wire_bpt"]))
    check({entry["curve"] for entry in found["at_kl"]} == {"rounding"}, str(found["at_kl"]))
    check([entry["rate"]["value"] for entry in found["bd_rate"]] == [0, 0, 0], str(found["bd_rate"]))


def test_ids_in_band():
    """`send-ids` costs what it costs, and that is told apart."""
    point = {p["curve"]: p for p in results("--codec=int8", "--codec=int8:send-ids", f"--frame-tokens={FRAME}")["points"]}
    check(value(point["int8"], "id_bpt") == 0, "ids without being asked")
    extra = value(point["int8:send-ids"], "wire_bpt") - value(point["int8"], "wire_bpt")
    ids = value(point["int8:send-ids"], "id_bpt")
    check(9 <= ids <= 16 and ids <= extra <= ids + 8, f"{ids} bits of ids, {extra} bits more")


def test_files():
    """CSV and plots; --windows takes so many of each domain."""
    table, script, picture = scratch("out.csv"), scratch("out.gp"), scratch("out.svg")
    run("--codec=int8", "--codec=rounding:step=0.5,1,2", f"--csv={table}", f"--plot={script}", "--windows=1")
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    check(len(rows) == 4 * 3, f"{len(rows)} rows")
    check({row["domain"] for row in rows} == {"all", "even", "odd"} and {row["windows"] for row in rows} == {"2"}, str(rows[0]))
    check(float(rows[0]["kl_low"]) <= float(rows[0]["kl"]) <= float(rows[0]["kl_high"]), str(rows[0]))
    with open(script, encoding="utf-8") as file:
        check("set output" in file.read(), "the script draws nothing")
    if not shutil.which("gnuplot"):
        harness.comment("no gnuplot: not drawn")
        return
    run("--codec=int8", "--codec=rounding:step=0.5,1,2", f"--plot={picture}", "--windows=1")
    with open(picture, encoding="utf-8") as file:
        check("</svg>" in file.read(), "the picture is not whole")


def test_last_words():
    """Without loss as many come out as without a codec; by domain."""
    passages = write("words.jsonl", "".join(json.dumps({"text": text, "word": word, "domain": domain}) + "\n" for text, word, domain in
                                            [("one two", " three", "a"), ("four", " e", "a"), ("five", "x", "b")]))
    found = results("--codec=f32", "--codec=int4", f"--last-words={passages}", "--windows=1")
    for point in found["points"]:
        words = point["last_words"]
        check({domain: entry["passages"] for domain, entry in words.items()} == {"all": 3, "a": 2, "b": 1}, str(words))
    words = found["points"][0]["last_words"]
    check(all(entry["accuracy"] == entry["accuracy_without_codec"] for entry in words.values()), str(words))


def test_adapters():
    """A codec file with adapters: the head and the tail behind the codec run with them, what they are compared with does not."""
    plain, adapted = os.environ.get("ST_TEST_CODEC_SIDE", ""), os.environ.get("ST_TEST_CODEC_ADAPTED", "")
    if not adapted:
        raise harness.Skip("ST_TEST_CODEC_ADAPTED names no codec file")
    lossless = "rate-control=lossless"
    found = points(results(f"--codec={plain}:{lossless}:label=plain", f"--codec={adapted}:{lossless}:label=adapted",
                           f"--codec={adapted}:quality=90,100:label=lossy", "--windows=1"))
    check(value(found["plain", None], "kl") < 1e-6, str(found["plain", None]))
    tuned = value(found["adapted", None], "kl")
    check(tuned > 1e-3, f"the adapters change nothing: KL {tuned}")
    finest = value(found["lossy", 100.0], "kl")
    check(0.5 * tuned < finest < 2 * tuned, f"KL {finest} at the finest level, {tuned} without loss")
    check(value(found["lossy", 90.0], "kl") != finest, "the same at two qualities")


def test_reference():
    """A model that was trained with its codec against the one that it comes from: here two that have nothing in common."""
    plain = os.environ.get("ST_TEST_CODEC_SIDE", "")
    if not plain:
        raise harness.Skip("ST_TEST_CODEC_SIDE names no codec file")
    other, rounded = harness.make_model(scratch("other.gguf"), "--seed=7"), harness.make_model(scratch("q8.gguf"), "--type=Q8_0")
    arguments = [f"--codec={plain}:rate-control=lossless:label=lossless", f"--codec={plain}:quality=60:label=lossy", "--codec=f32", "--windows=1"]
    own = points(results(*arguments))
    same = points(results(*arguments, f"--reference={tiny_model()}"))
    found = results(*arguments, f"--reference={other}")
    check(found["reference"] == other and found["model"] == tiny_model() and found["reference_id"] != found["model_id"], str(found)[:300])
    far = points(found)
    for key, point in own.items():
        close(value(same[key], "kl"), value(point, "kl"), f"{key} with the model itself as reference")
        check(value(far[key], "wire_bpt") == value(point, "wire_bpt") or key[0] == "f32", f"{key}: other bits with another reference")
    check(value(own["lossless", None], "kl") < 1e-6 < 1e-2 < value(far["lossless", None], "kl"), str(far["lossless", None]))
    check(value(far["f32", None], "kl") == 0, "a baseline is none of the reference's")
    wrong = run(f"--codec={plain}:quality=60", f"--model={other}", "--windows=1", status=1)
    check("use the codec file that was made for it" in wrong.stderr, wrong.stderr)
    near = points(results(*arguments, f"--reference={rounded}"))
    check(0 < value(near["lossless", None], "kl") < value(far["lossless", None], "kl"), "the same weights, rounded, are no nearer")


def test_speed():
    path = scratch("speed.json")
    done = run("--speed", "--rounds=3", "--codec=int8:nopack", "--codec=f16:frame-tokens=1", "--codec=rounding", f"--json={path}")
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    check(found["rounds"] == 3 and found["head_ns_per_token"] > 0, str(found))
    check([entry["curve"] for entry in found["speeds"]] == ["int8:nopack", "f16"], str(found))
    check(all(entry["encode_ns_per_token"] > 0 and entry["decode_ns_per_token"] > 0 for entry in found["speeds"]), str(found))
    check("median of 3 rounds" in done.stdout, done.stdout)


def test_usage():
    for arguments, message in ((["--nonsense"], "--nonsense"), ([], "needs --model"), (["--codec=int8", "more"], "needs --model"),
                               (["--codec="], "needs the name of a codec"), (["--codec=int8:loud"], '"loud" is no setting'),
                               (["--codec=int8", "--frame-tokens=0"], "not an integer from 1"),
                               (["--codec=int8", "--at-kl=-1"], "not a number of at least"),
                               (["--codec=int8", "--bd-rate=a"], "the names of two curves"),
                               (["--codec=int8", "--threads=-1"], "--threads=-1"),
                               (["--codec=int8", "--speed", "--reference=x.gguf"], "without --reference"),
                               (["--codec=int8", "--json=/nonexistent/out.json"], "/nonexistent/out.json"),
                               (["--codec=int8", "--plot=x.pdf"], ".svg, .png or .gp")):
        done = run(*arguments, status=STATUS_USAGE)
        check(message in done.stderr and not done.stdout, f"{arguments}: {done.stderr}")


def test_errors():
    """Told before anything is measured."""
    for arguments, message in ((["--codec=nonsense"], "nonsense"), (["--codec=int8:pack=maybe"], '"maybe" is no value of the property pack'),
                               (["--codec=int8:colour=red"], 'neither rdencoder nor rddecoder has a property "colour"'),
                               (["--codec=int8:window-bytes=-1"], '"-1" is no value of the property window-bytes'),
                               (["--codec=int8", "--split=4"], "--split=4"),
                               (["--codec=int8", "--model=/nonexistent"], "/nonexistent"),
                               (["--codec=int8", "--reference=/nonexistent"], "/nonexistent"),
                               (["--codec=int8", "--testset=/nonexistent"], "/nonexistent"),
                               (["--codec=int8", "--last-words=/nonexistent"], "/nonexistent")):
        done = run(*arguments, status=1)
        check(message in done.stderr, f"{arguments}: {done.stderr}")
    foreign = write("foreign.json", json.dumps({"windows": [{"domain": "a", "ids": [0, VOCAB]}]}))
    check("id number 1" in run("--codec=int8", status=1, windows=foreign).stderr, "ids of another tokenizer are taken")


def test_refused():
    """What an element says of a stream that it does not take is what is told."""
    found = run(f"--model={harness.SOURCE_ROOT}/models/files/tiny-english-4m.gguf", "--split=1", "--windows=1",
                f"--codec={harness.SOURCE_ROOT}/codec/files/rdcodec-tiny-english-4m-split2.gguf", status=1)
    check("was made for Tiny English" in found.stderr and "did not come out" not in found.stderr, found.stderr)


def test_wrong_curve():
    """A comparison that cannot be made costs nothing but itself."""
    done = run("--codec=int8", "--bd-rate=int8,nonsense", "--windows=1", status=1)
    check('no curve "nonsense"; there are int8' in done.stderr and "all domains" in done.stdout, done.stderr)


def test_interrupt():
    """Whole windows that were measured before ctrl-C are reported."""
    path = scratch("interrupted.json")
    many = testset("many.json", windows=400)
    specs = [f"--codec={codec}:frame-tokens=1" for codec in ("int8", "int4", "f16", "f32")]
    process = subprocess.Popen(command(f"--json={path}", "--resamples=20", *specs, windows=many), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(4 if harness.sanitized() else 2)
        process.send_signal(signal.SIGINT)
        text, log = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failure(f"does not end after ctrl-C: {process.communicate()}") from None
    check(process.returncode == STATUS_INTERRUPTED, f"status {process.returncode}: {log}")
    if not os.path.exists(path):
        raise harness.Skip(f"this machine was not far enough: {log}")
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    check(0 < found["points"][0]["windows"] <= 400 and len(found["points"]) < 5, str(found)[:300])
    check(re.search(r"of 400 windows", text) or found["points"][-1]["windows"] == 400, text[:2000])


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
