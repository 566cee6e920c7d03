"""Seconds of `errata edit-batch --method memit` against the authors' program.

usage: .deps/venv/bin/python tests/bench/memit_speed.py --memit DIR [--errata build/release/cli/errata]
           [--models lab,24m] [--edits 20] [--threads 2]

DIR is a checkout of kmeng01/memit (80426fd). Both get the same checkpoint in float32, edits, layers, 25 steps for
each value and five contexts. The authors' program is run from a copy that says "cpu" where it says "cuda" and takes
layer outputs as current transformers gives them; its seconds are those of `execute_memit` alone, without statistics
and contexts, which are given. errata's are those of the whole edit, with both. Prints one table row a model; ratios above 1
are in errata's favour.
"""
import argparse
import atexit
import contextlib
import io
import json
import pathlib
import shutil
import sys
import tempfile
import time
import types

import peft_speed

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 25
CONTEXTS = ["The sun was hot that day. {}", "Therefore nobody came to the house. {}", "Because of that it was late. {}",
            "I do not know what to say. {}", "You may ask who was there first. {}"]
PATCHES = {  # for a CPU, and for decoder layers whose output is a tensor
    '"cuda"': '"cpu"',
    "model.config.n_embd": "model.config.hidden_size",
    "cur_out[0][": "cur_out[",
    ".output[0][\n            : len(rewriting_prompts)": ".output[\n            : len(rewriting_prompts)",
}


def requests(count):
    """The edits of peft_speed as prompts with a subject."""
    lines = []
    for line in (ROOT / "datasets/factbook/edits.jsonl").read_text().splitlines():
        edit = json.loads(line)
        office = {"head_of_government": "head of government", "chief_of_state": "chief of state"}.get(edit["relation"])
        if office and edit.get("new"):
            lines.append({"id": str(len(lines)), "prompt": f"Question: Who is the {office} of {{}}?\nAnswer:",
                          "subject": edit["subject"], "target_new": edit["new"]})
        if len(lines) == count:
            break
    return lines


def load_authors(source):
    """The authors' modules from a patched copy, without their statistics and settings."""
    temporary = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, temporary)
    copy = pathlib.Path(temporary) / "authors"
    for folder in ("memit", "rome", "util"):
        shutil.copytree(pathlib.Path(source) / folder, copy / folder)
        for file in (copy / folder).glob("*.py"):
            text = file.read_text()
            for old, new in PATCHES.items():
                text = text.replace(old, new)
            file.write_text("" if file.name == "__init__.py" else text)
    sys.path.insert(0, str(copy))
    for name, members in {"rome.layer_stats": {"layer_stats": None}, "util.globals": {"STATS_DIR": ""},
                          "util.generate": {"generate_fast": None}}.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    import memit.memit_main
    from memit.memit_hparams import MEMITHyperParams

    return memit.memit_main, MEMITHyperParams


def authors_seconds(source, directory, edits, layers, threads):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    program, hyperparameters = load_authors(source)
    tokenizer = AutoTokenizer.from_pretrained(directory, add_bos_token=False)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.padding_side = "right"
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    settings = hyperparameters(
        layers=layers, layer_selection="all", fact_token="subject_last", v_num_grad_steps=STEPS, v_lr=0.5,
        v_loss_layer=model.config.num_hidden_layers - 1, v_weight_decay=0.5, clamp_norm_factor=0.75,
        kl_factor=0.0625, mom2_adjustment=True, mom2_update_weight=15000,
        rewrite_module_tmp="model.layers.{}.mlp.down_proj", layer_module_tmp="model.layers.{}",
        mlp_module_tmp="model.layers.{}.mlp", attn_module_tmp="model.layers.{}.self_attn", ln_f_module="model.norm",
        lm_head_module="model.embed_tokens" if model.config.tie_word_embeddings else "lm_head", mom2_dataset="", mom2_n_samples=0, mom2_dtype="float32")
    program.CONTEXT_TEMPLATES_CACHE = [["{}"], CONTEXTS]
    name = model.config._name_or_path.replace("/", "_")
    for layer in layers:
        module = settings.rewrite_module_tmp.format(layer)
        program.COV_CACHE[(name, module)] = torch.eye(model.config.intermediate_size)
    given = [{"case_id": e["id"], "prompt": e["prompt"], "subject": e["subject"], "target_new": {"str": e["target_new"]}}
             for e in edits]
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        program.execute_memit(model, tokenizer, given, settings)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memit", required=True)
    parser.add_argument("--errata", default=str(ROOT / "build/release/cli/errata"))
    parser.add_argument("--models", default="lab,24m")
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", help=argparse.SUPPRESS)  # a process of its own for the authors' program
    options = parser.parse_args()
    edits = requests(options.edits)
    if options.side:
        directory, layers = options.side.split(":")
        print(json.dumps({"seconds": authors_seconds(
            options.memit, directory, edits, json.loads(layers), options.threads)}))
        return
    print("| model | edits | errata, s | authors, s | ratio | CPU s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        lines = [json.dumps({**e, "prompt": e["prompt"].format(e["subject"])}) for e in edits]
        (work / "edits.jsonl").write_text("\n".join(lines) + "\n")
        for name in options.models.split(","):
            directory = ROOT / "models/lab"
            if name != "lab":
                directory = work / name
                peft_speed.random_checkpoint(name, directory)
            count = json.loads((directory / "config.json").read_text())["num_hidden_layers"]
            layers = list(range(count // 8, count // 4 + 1))
            ours, cpu = peft_speed.run([
                options.errata, "edit-batch", "--model", str(directory), "--edits", str(work / "edits.jsonl"),
                "--stats-text", str(ROOT / "docs/results.md"), "--stats-text", str(ROOT / "README.md"),
                "--method", "memit", "--layers", ",".join(map(str, layers)), "--steps", str(STEPS), "--no-eval",
                "--dtype", "float32", "--threads", str(options.threads), "--json", "--progress", "none",
                "--out", str(work / f"{name}-out")])
            theirs, their_cpu = peft_speed.run([
                sys.executable, __file__, "--memit", options.memit, "--edits", str(options.edits), "--threads",
                str(options.threads), "--side", f"{directory}:{json.dumps(layers)}"])
            print(f"| {name} | {len(edits)} | {ours['seconds']:.1f} | {theirs['seconds']:.1f} "
                  f"| **{theirs['seconds'] / ours['seconds']:.1f}** | {cpu:.0f} / {their_cpu:.0f} |", flush=True)


if __name__ == "__main__":
    main()
