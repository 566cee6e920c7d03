"""Reads what `errata store export` writes with the loaders of the programs that it is written for.

usage: .deps/venv/bin/python tests/peers/read_exports.py --memit DIR --easyedit DIR --data DIR
           [--errata build/test/cli/errata]

DIR of --memit and --easyedit are checkouts of kmeng01/memit (80426fd) and zjunlp/EasyEdit (14cea82), DIR of --data the
shared data sets. Each published file is imported, exported in its own format, and both files are given to the peer's
own loader: what it makes of the export must be what it makes of the original, in all fields that its evaluation reads.
Then the Factbook's changes are exported in every format and read by all of them. Their modules are run where they lie;
what they import beside their loader (hosts to download from, the device of a batch) is replaced.
"""
import argparse
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]


def empty_module(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


def package(name, directory):
    """A package whose own __init__ is not run: it would import every method of the peer."""
    empty_module(name, __path__=[str(directory)])


def load_peers(memit, easyedit):
    package("dsets", memit / "dsets")
    empty_module("util")
    empty_module("util.globals", REMOTE_ROOT_URL="")
    for name in ("", ".dataset", ".editors", ".util", ".trainer"):
        package("easyeditor" + name, easyedit / "easyeditor" / name.removeprefix("."))
    empty_module("easyeditor.util.globals")
    empty_module("easyeditor.trainer.utils", dict_to=lambda batch, device: batch)


def peer(module, name):
    return getattr(importlib.import_module(module), name)


class Store:
    def __init__(self, errata, path):
        self.errata, self.path = errata, path
        self.run("init")

    def run(self, command, *arguments):
        done = subprocess.run(
            [self.errata, "store", command, "--store", self.path, "--json", *map(str, arguments)],
            capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"store {command} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return json.loads(done.stdout)


def memit_counterfact(path):
    records = list(peer("dsets.counterfact", "CounterFactDataset")(path.parent))
    read = []
    for record in records:
        rewrite = record["requested_rewrite"]
        read.append({
            "asked": rewrite["prompt"].format(rewrite["subject"]),  # as evaluation and methods do
            "subject": rewrite["subject"],
            "relation": rewrite["relation_id"],
            "new": rewrite["target_new"]["str"],
            "true": rewrite["target_true"]["str"],
            **{key: record[key] for key in ("case_id", "paraphrase_prompts", "neighborhood_prompts",
                                            "generation_prompts")}})
    return read


def memit_zsre(path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/lab")
    read = []
    for record in peer("dsets.zsre", "MENDQADataset")(path.parent, tokenizer):
        rewrite = record["requested_rewrite"]
        asked = rewrite["prompt"].format(rewrite["subject"])
        near = [{"prompt": each["prompt"].format(rewrite), "target": each["target"]}
                for each in record["neighborhood_prompts"]]
        read.append({"asked": asked, "subject": rewrite["subject"], "new": rewrite["target_new"]["str"],
                     "paraphrases": record["paraphrase_prompts"], "near": near})
    return read


def easyedit_flat(path):
    keys = ("prompt", "target_new", "ground_truth", "rephrase_prompt", "locality_prompt", "locality_ground_truth")
    return [{key: record[key] for key in keys}
            for record in peer("easyeditor.dataset.counterfact", "CounterFactDataset")(path)]


def easyedit_zsre(path):
    records = peer("easyeditor.dataset.zsre", "ZsreDataset")(path)
    return [{key: value for key, value in record.items() if key not in ("case_id", "cond")} for record in records]


def first_answer(answer):
    """The first that says something. The example stops at an empty list, and skips a probe whose first name is empty."""
    while isinstance(answer, list):
        answer = next((each for each in map(first_answer, answer) if each.strip()), "")
    return answer


def easyedit_knowedit(path):
    """With the answers as examples/run_knowedit_llama2.py takes them."""
    read = []
    for record in peer("easyeditor.dataset.knowedit", "KnowEditDataset")(path):
        probes = {key: [(probe["prompt"], first_answer(probe["ground_truth"])) for probe in record[key] or ()
                        if first_answer(probe["ground_truth"]).strip()]
                  for key in record if key.startswith(("portability", "locality"))}
        read.append({key: record[key] for key in ("subject", "prompt", "target_new")} | probes)
    return read


def easyedit_mquake(path):
    return [{key: value for key, value in record.items() if key != "case_id"}
            for record in peer("easyeditor.dataset.MQuAKE", "MQuAKEDataset")(path)]


def easyedit_lists(path):
    """The requests that BaseEditor.edit makes of its arguments, each asked as compute_edit_quality asks it."""
    lists = json.loads(path.read_text())
    requests = peer("easyeditor.editors.utils", "_prepare_requests")(target_neg=None, **lists)
    for request in requests:
        asked = [(request["prompt"], request["target_new"]), (request["rephrase_prompt"], request["target_new"])]
        asked += [(probe["prompt"], probe["ground_truth"])
                  for kind in ("locality", "portability") for probe in request[kind].values()]
        for prompt, answer in asked:  # a list beside a string would be taken apart into letters
            assert prompt is None or type(prompt) is type(answer), (prompt, answer)
            assert not isinstance(prompt, list) or len(prompt) == len(answer), (prompt, answer)
    return requests


# import format, file, import options, export format, export options, the name that the loader wants, loader, key
PUBLISHED = [
    ("counterfact", "counterfact/counterfact_rome_schema_1031.json", [], "counterfact", [], "counterfact.json",
     memit_counterfact, "case_id"),
    ("counterfact", "counterfact/counterfact_flat_val_1919.json", [], "counterfact-flat", [], "flat.json",
     easyedit_flat, "prompt"),
    ("zsre", "zsre/zsre_mend_eval_1037.json", ["--zsre-target", "answers"], "zsre", ["--zsre-target", "answers"],
     "zsre_mend_eval.json", memit_zsre, "asked"),
    ("zsre", "zsre/zsre_mend_eval_1037.json", ["--zsre-target", "alt"], "zsre", ["--zsre-target", "alt"],
     "zsre_mend_eval.json", easyedit_zsre, "prompt"),
    ("knowedit", "knowedit/wiki_recent_train.json", [], "knowedit", [], "knowedit.json", easyedit_knowedit, "prompt"),
    ("knowedit", "knowedit/zsre_test_all.json", [], "knowedit", [], "knowedit.json", easyedit_knowedit, "prompt"),
    ("mquake", "mquake/MQuAKE-hard.json", [], "mquake", [], "mquake.json", easyedit_mquake, "prompt"),
]

# export format, export options, the name that the loader wants, loader
CHANGES = [
    ("counterfact", [], "counterfact.json", memit_counterfact),
    ("counterfact-flat", [], "flat.json", easyedit_flat),
    ("zsre", ["--zsre-target", "answers"], "zsre_mend_eval.json", memit_zsre),
    ("zsre", ["--zsre-target", "alt"], "zsre_mend_eval.json", easyedit_zsre),
    ("knowedit", [], "knowedit.json", easyedit_knowedit),
    ("mquake", [], "mquake.json", easyedit_mquake),
    ("easyedit", [], "edits.json", easyedit_lists),
]


def compare(original, exported, key):
    """The number of records that differ, and the first difference."""
    expected = {}
    for record in original:
        expected.setdefault(record[key], []).append(record)
    differing, first = 0, ""
    for record in exported:
        candidates = expected.get(record[key], [])
        if record in candidates:
            candidates.remove(record)
            continue
        differing += 1
        if not first and candidates:
            field = next(name for name in record if record[name] != candidates[0][name])
            first = f"{field}: {candidates[0][field]!r} became {record[field]!r}"
        elif not first:
            first = f"no such {key}: {record[key]!r}"
    return differing, first


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errata", default=str(ROOT / "build/test/cli/errata"))
    for name in ("--memit", "--easyedit", "--data"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    load_peers(options.memit, options.easyedit)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for number, (source, file, reading, target, writing, name, read, key) in enumerate(PUBLISHED):
            store = Store(options.errata, work / f"{number}.db")
            store.run("import", "--format", source, options.data / file, "--set", "s", *reading)
            copy, out = work / f"original-{number}" / name, work / f"export-{number}" / name
            for path in (copy, out):
                path.parent.mkdir()
            copy.write_bytes((options.data / file).read_bytes())
            report = store.run("export", "--set", "s", "--format", target, "--out", out, *writing)
            original, exported = read(copy), read(out)
            differing, first = compare(original, exported, key)
            failures += differing
            print(f"{read.__name__:20} {file:48} {len(original)} records, {len(exported)} exported, {differing} differ"
                  f" {first}\n{'':20} left out: {json.dumps(report.get('left_out'))}", flush=True)
        store = Store(options.errata, work / "world.db")
        store.run("import", "--format", "factbook")
        for number, (target, writing, name, read) in enumerate(CHANGES):
            out = work / f"changes-{number}" / name
            out.parent.mkdir()
            store.run("export", "--from", "2021-01-31", "--to", "2026-01-22", "--format", target, "--out", out, *writing)
            print(f"{read.__name__:20} changes of the Factbook as {target}: {len(read(out))} records", flush=True)
    sys.exit(f"{failures} records are not what their loader makes of the original" if failures else 0)


if __name__ == "__main__":
    main()
