"""Tables and plots of the comparison: everything in one list of points, then CSV, Markdown and gnuplot."""
import csv
import json
import math
import os
import subprocess

FRAMES = ("64", "8", "1")
FIELDS = ["split", "codec", "measured", "rate_point", "bpt_64", "bpt_8", "bpt_1", "wire_bpt", "kl", "perplexity", "reference_perplexity",
          "top1_agreement", "last_word_accuracy", "reference_last_word_accuracy"]
QUANTITIES = (("BD-rate by KL", "kl"), ("by perplexity above the uncompressed", "loss"))


def load(path):
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def estimated_points(measured, codec, split):
    for point in measured["points"]:
        yield {"split": split, "codec": codec, "measured": "estimate", "rate_point": f"lambda {point['lambda']:g}",
               **{f"bpt_{frame}": point["bpt"][frame] for frame in FRAMES},
               **{name: point[name] for name in ("kl", "perplexity", "reference_perplexity", "top1_agreement", "last_word_accuracy")},
               "reference_last_word_accuracy": measured["reference_last_word_accuracy"]}


def wire_points(measured, split):
    """What went through rdencoder and rddecoder: payloads of the states, because HEADER frames weigh more in short windows than in a session."""
    for point in measured["points"]:
        figures, words = point["domains"]["all"], point.get("last_words", {}).get("all", {})
        yield {"split": split, "codec": point["curve"], "measured": "computed" if point["computed"] else "wire",
               "rate_point": f"quality {point['quality']:g}" if "quality" in point else "",
               f"bpt_{point.get('frame_tokens', 64)}": value(figures, "payload_bpt"), "wire_bpt": value(figures, "wire_bpt"),
               **{name: value(figures, name) for name in ("kl", "perplexity", "reference_perplexity", "top1_agreement")},
               "last_word_accuracy": value(words, "accuracy"), "reference_last_word_accuracy": value(words, "accuracy_without_codec")}


def value(figures, name):
    return figures[name]["value"] if name in figures else math.nan


def collect(work, splits, codecs):
    points = []
    for split in splits:
        for codec in codecs:
            measured = load(os.path.join(work, f"{codec}-{split}.json"))
            if measured:
                points += estimated_points(measured, codec, split)
        measured = load(os.path.join(work, f"wire-{split}.json"))
        if measured:
            points += wire_points(measured, split)
    return points


def number(point, name):
    return point.get(name, math.nan)


def write_csv(points, path):
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(FIELDS)
        for point in points:
            cells = [point.get(field, "") for field in FIELDS]
            rows.writerow([("" if math.isnan(cell) else f"{cell:.6g}") if isinstance(cell, float) else cell for cell in cells])


# ---- differences of curves ----

def distortion(point, name):
    """KL, or how much more a token costs than without a codec, in nats."""
    return point["kl"] if name == "kl" else math.log(point["perplexity"] / point["reference_perplexity"])


def bd_rates(tool, points, name, frame="64"):
    """{(anchor, curve): share} of all curves of @points."""
    lines = [f"{point['codec']} {point['split']} {point['measured']}\t{number(point, 'bpt_' + frame):.6f}\t{distortion(point, name):.8f}\n"
             for point in points if number(point, "bpt_" + frame) > 0]
    out = subprocess.run([tool], input="".join(lines), capture_output=True, text=True, check=True).stdout
    rates = {}
    for line in out.splitlines():
        anchor, curve, share = line.split("\t")
        rates[anchor, curve] = float(share)
    return rates


def percent(share):
    return "" if share is None else f"{100 * share:+.1f} %"


def bd_tables(tool, points, splits, codecs):
    estimates = [point for point in points if point["measured"] == "estimate"]
    for title, name in QUANTITIES:
        rates = bd_rates(tool, estimates, name)
        yield f"### {title}\n"
        yield "| split | against | " + " | ".join(codecs) + " |"
        yield "|---|---|" + "---|" * len(codecs)
        for split in splits:
            for anchor in codecs:
                cells = [percent(rates.get((f"{anchor} {split} estimate", f"{codec} {split} estimate"))) for codec in codecs]
                if any(cells):
                    yield f"| {split} | {anchor} | " + " | ".join(cells) + " |"
        yield ""
        yield "Splits against each other (row: anchor):\n"
        yield "| codec | " + " | ".join(f"{b} against {a}" for a in splits for b in splits if a < b) + " |"
        yield "|---|" + "---|" * (len(splits) * (len(splits) - 1) // 2)
        for codec in codecs:
            cells = [percent(rates.get((f"{codec} {a} estimate", f"{codec} {b} estimate"))) for a in splits for b in splits if a < b]
            yield f"| {codec} | " + " | ".join(cells) + " |"
        yield ""


# ---- the paper's comparisons ----

def compare(tool, points, name, pairs):
    """Table rows: @name, and for every split the BD-rate by KL of the second of a pair against the first; wire where there is some."""
    for how in ("wire", "estimate"):
        chosen = [point for point in points if point["measured"] == how]
        rates = bd_rates(tool, chosen, "kl")
        for anchor, codec in pairs:
            splits = sorted({point["split"] for point in chosen if point["codec"] in (anchor, codec)})
            cells = [f"split {split}: {percent(rates.get((f'{anchor} {split} {how}', f'{codec} {split} {how}'))) or 'not measured'}" for split in splits]
            if cells:
                yield f"| {name} | {how} | {codec} against {anchor} | {', '.join(cells)} |"


def compare_splits(tool, points, models):
    for how in ("wire", "estimate"):
        rates = bd_rates(tool, [point for point in points if point["measured"] == how], "kl")
        for model in models:
            cells = [f"{late} against {early}: {percent(rates[pair])}" for early, late in ((1, 2), (2, 3), (1, 3))
                     for pair in [(f"{model} {early} {how}", f"{model} {late} {how}")] if pair in rates]
            if cells:
                yield f"| early or late splits | {how} | {model} | {', '.join(cells)} |"


def compare_baselines(points, models):
    """Of the baselines with a KL: how many bits they need, and whether a learned codec has both fewer bits and less KL at some point."""
    for point in points:
        if point["measured"] != "wire" or point["codec"] in models + ["calibrated"] or not number(point, "bpt_64") > 0:
            continue
        better = sorted({other["codec"] for other in points if other["split"] == point["split"] and other["measured"] == "wire"
                         and other["codec"] in models and other["kl"] <= point["kl"] and number(other, "bpt_64") < point["bpt_64"]})
        yield (f"| learned against {point['codec']} | wire | split {point['split']}: {point['bpt_64']:.0f} BPT at KL {point['kl']:.4f} | "
               f"better in both: {', '.join(better) or 'none'} |")


def compare_accuracy(points, models):
    for model in models:
        chosen = [point for point in points if point["codec"] == model]
        words = [p for p in chosen if p["last_word_accuracy"] > p["reference_last_word_accuracy"]]
        texts = [p for p in chosen if p["perplexity"] < p["reference_perplexity"]]
        if chosen:
            yield (f"| better than uncompressed | all | {model} | last words at {len(words)} of {len(chosen)} points, perplexity at {len(texts)} |")


def hypotheses(tool, points, models):
    hyper = [model for model in models if model.startswith("hyperprior")]
    yield "| question | measured | curves | answer |"
    yield "|---|---|---|---|"
    yield from compare(tool, points, "learned against frozen", [("calibrated", model) for model in models])
    yield from compare_baselines(points, models)
    yield from compare(tool, points, "networks against static", [("static", model) for model in models if model != "static"])
    yield from compare(tool, points, "Fourier or factorised", [("hyperprior-factorized", "hyperprior-fourier")])
    yield from compare(tool, points, "direct access", [(model, "autoregressive") for model in hyper])
    yield from compare_splits(tool, points, models)
    yield from compare_accuracy(points, models)
    yield ""


# ---- tables ----

def point_table(points):
    yield "| split | codec | rate point | BPT 64 | BPT 8 | BPT 1 | KL | perplexity | (uncompressed) | top-1 | last word | (uncompressed) |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for point in points:
        cells = [f"{number(point, 'bpt_' + frame):.1f}" for frame in FRAMES]
        cells += [f"{point['kl']:.4f}", f"{point['perplexity']:.2f}", f"{point['reference_perplexity']:.2f}", f"{point['top1_agreement']:.3f}",
                  f"{point['last_word_accuracy']:.3f}", f"{point['reference_last_word_accuracy']:.3f}"]
        yield f"| {point['split']} | {point['codec']} | {point['rate_point']} | " + " | ".join("" if c == "nan" else c for c in cells) + " |"
    yield ""


def cost_table(work, splits, codecs):
    """Processor time of the networks: a codec's forward pass less that of the static one, over the head's."""
    yield "| split | head, us a token | networks | " + " | ".join(f"{frame} tokens a frame" for frame in FRAMES) + " |"
    yield "|---|---|---|" + "---|" * len(FRAMES)
    for split in splits:
        static = load(os.path.join(work, f"static-{split}.json"))
        for codec in codecs:
            measured = load(os.path.join(work, f"{codec}-{split}.json"))
            if not measured or not static or codec in ("static", "calibrated"):
                continue
            head = median(point["head_ns_per_token"] for point in measured["points"])
            cells = [codec_ns(measured, frame) - codec_ns(static, frame) for frame in FRAMES]
            yield f"| {split} | {head / 1000:.1f} | {codec} | " + " | ".join(f"{c / 1000:.1f} us, {100 * c / head:.0f} %" for c in cells) + " |"
    yield ""


def codec_ns(measured, frame):
    return median(point["codec_ns_per_token"][frame] for point in measured["points"])


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


# ---- plots ----

def plot(points, split, path):
    curves = {}
    for point in points:
        if point["split"] == split and number(point, "bpt_64") > 0 and point["kl"] > 0:
            curves.setdefault(f"{point['codec']} ({point['measured']})", []).append((point["bpt_64"], point["kl"]))
    script = [f"set terminal svg noenhanced size 900, 640 background 'white'\nset output '{path}'\nset logscale x 2\nset logscale y\nset autoscale fix\nset grid\nset format '%g'\n"
              f"set key bottom left\nset xlabel 'bits a token, 64 tokens a frame'\nset ylabel 'KL to the uncompressed model, nats'\n"
              f"set title 'split {split}'"]
    for i, name in enumerate(curves):
        script.append(f"$c{i} << END\n" + "\n".join(f"{bpt} {kl}" for bpt, kl in sorted(curves[name])) + "\nEND")
    script.append("plot " + ", ".join(f"$c{i} with linespoints title '{name}'" for i, name in enumerate(curves)))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def write(work, results, tool, splits, models):
    codecs = ["calibrated"] + models
    points = collect(work, splits, codecs)
    write_csv(points, os.path.join(results, "results.csv"))
    lines = ["# Tables", "Written by `paper-grid`.\n", "## The paper's comparisons",
             "BD-rates by KL over 64-token frames; negative: the first of the pair needs fewer bits.\n",
             *hypotheses(tool, points, models), "## BD-rates of the trainer's estimates, 64 tokens a frame",
             "Negative: the column's codec needs fewer bits than the row's.\n", *bd_tables(tool, points, splits, codecs),
             "## Processor time of the networks", *cost_table(work, splits, codecs),
             "## Points, estimated by the trainer for rounded values", *point_table([p for p in points if p["measured"] == "estimate"]),
             "## Points through rdencoder and rddecoder, and computed ones", *point_table([p for p in points if p["measured"] != "estimate"])]
    with open(os.path.join(results, "tables.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    for split in splits:
        if any(point["split"] == split for point in points):
            plot(points, split, os.path.join(results, f"split-{split}.svg"))
