"""Edits given outright (`edit-batch --edits`): what the defaults learn, and what they leave alone.

usage: python3 tests/bench/outright_edits.py [--errata build/release/cli/errata] [--model models/lab]
           [--counts 1x20,10x4,100,300] [--seed 1] [-- option of edit-batch ...]

The latest new holders of the Factbook's offices as prompts, each with one paraphrase and three facts of other
relations that must stay. `10x4` is four runs of ten edits each; figures are means over runs, greedy answers with
natural stop. One table row a count.
"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FACTBOOK = ROOT / "datasets/factbook"
KEPT = ("capital", "region", "currency", "highest_point", "demonym")


def lines(name):
    return [json.loads(line) for line in (FACTBOOK / name).read_text().splitlines()]


def make_rows(seed):
    rng = random.Random(seed)
    questions = {name: relation["questions"]
                 for name, relation in json.loads((FACTBOOK / "relations.json").read_text()).items()}
    kept = [fact for fact in lines("facts.jsonl") if fact["valid_to"] is None and fact["relation"] in KEPT]

    def ask(fact, wording):
        return f"Question: {questions[fact['relation']][wording].format(s=fact['subject'])}\nAnswer:"

    offices = ("head_of_government", "chief_of_state")
    latest = {(edit["subject"], edit["relation"]): edit
              for edit in lines("edits.jsonl") if edit.get("new") and edit["relation"] in offices}
    edits = sorted(latest.values(), key=lambda edit: edit["id"])
    rng.shuffle(edits)
    return [{
        "id": edit["id"], "prompt": ask(edit, 0), "target_new": edit["new"], "target_aliases": edit["aliases_new"],
        "paraphrases": [ask(edit, 1)],
        "locality": [{"prompt": ask(fact, 0), "answer": fact["object"]} for fact in rng.sample(kept, 3)],
    } for edit in edits]


def edit_batch(options, rows, work):
    edits, out = work / "edits.jsonl", work / "out"
    shutil.rmtree(out, ignore_errors=True)
    edits.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [options.errata, "edit-batch", "--model", options.model, "--edits", edits, "--out", out,
               "--json", "--progress", "none", *options.more]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.returncode)
    training = json.loads(done.stdout)["training"]
    after = json.loads((out / "results.json").read_text())["metrics"]["after"]
    return {
        "reliability": 100 * after["editing"]["reliability"]["value"],
        "generalisation": 100 * after["editing"]["generalisation"]["value"],
        "unchanged answers": 100 * after["locality"]["same"]["value"],
        "steps": training["steps"],
        "training, s": training["seconds"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errata", default=ROOT / "build/release/cli/errata")
    parser.add_argument("--model", default=ROOT / "models/lab")
    parser.add_argument("--counts", default="1x20,10x4,100,300")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("more", nargs="*", help="options of edit-batch, after --")
    options = parser.parse_args()
    rows = make_rows(options.seed)
    head = None
    with tempfile.TemporaryDirectory() as folder:
        for text in options.counts.split(","):
            count, _, times = text.partition("x")
            count, times = int(count), int(times or 1)
            if count * times > len(rows):
                sys.exit(f"--counts {text}: there are {len(rows)} edits")
            runs = [edit_batch(options, rows[i * count:(i + 1) * count], pathlib.Path(folder)) for i in range(times)]
            if head is None:
                head = list(runs[0])
                print(f"| edits | runs | {' | '.join(head)} |\n|---|---|{'---|' * len(head)}")
            means = [sum(run[name] for run in runs) / times for name in head]
            print(f"| {count} | {times} | {' | '.join(f'{mean:.1f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    main()
