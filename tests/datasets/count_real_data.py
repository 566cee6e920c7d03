#!/usr/bin/env python3
"""Counts what importing the real files must give, straight from the files (Python 3.11, PyYAML 6).

Shares no code with the importers: tests/datasets/real_data_test.cpp holds the printed numbers.
usage: count_real_data.py DATA_DIR
"""
import collections
import datetime
import json
import re
import sys

import yaml

DATA = sys.argv[1]


def load(name):
    with open(f"{DATA}/{name}", encoding="utf-8") as file:
        return json.load(file)


def flat(value):
    """All non-blank texts of nested lists."""
    if isinstance(value, list):
        return [text for part in value for text in flat(part)]
    return [str(value)] if value is not None and str(value).strip() else []


def show(name, **numbers):
    print(name, ", ".join(f"{key} {value}" for key, value in numbers.items()))


def mquake():
    cases = load("mquake/MQuAKE-hard.json")
    edits, relations, aliased, names = {}, set(), 0, set()
    for case in cases:
        for rewrite in case["requested_rewrite"]:
            slot = rewrite["subject"], rewrite["relation_id"]
            edits[slot + (rewrite["target_new"]["str"],)] = rewrite
        for side, hops in (("triples", "single_hops"), ("new_triples", "new_single_hops")):
            relations |= {triple[1] for triple in case["orig"][side]}
            for triple, hop in zip(case["orig"][side + "_labeled"], case[hops]):
                if flat(hop["answer_alias"]):
                    aliased += 1
                    names.add(triple[2])
    by_slot = collections.defaultdict(set)
    for subject, relation, target in edits:
        by_slot[subject, relation].add(target)
    pairs = sum(len(t) * (len(t) - 1) // 2 for t in by_slot.values())
    hop_conflicts, conflicting = 0, set()
    for case in cases:
        orig = case["orig"]
        for ids, labels in zip(orig["new_triples"], orig["new_triples_labeled"]):
            others = by_slot.get((labels[0], ids[1]), set()) - {labels[2]}
            hop_conflicts += len(others)
            if others:
                conflicting.add(case["case_id"])
    show("mquake", cases=len(cases), edits=len(edits), relations=len(relations), aliased=aliased,
         entities=len(names), edit_conflicts=pairs, case_conflicts=hop_conflicts,
         conflicting_cases=len(conflicting))


def counterfact():
    records = load("counterfact/counterfact_rome_schema_1031.json")
    show("counterfact", edits=len(records),
         paraphrases=sum(len(flat(r["paraphrase_prompts"])) for r in records),
         locality=sum(len(flat(r["neighborhood_prompts"])) for r in records),
         generation=sum(len(flat(r["generation_prompts"])) for r in records),
         portability=sum(1 for r in records if flat(r["portability"]["New Answer"])))
    records = load("counterfact/counterfact_flat_val_1919.json")
    show("counterfact-flat", edits=len(records),
         ids=len({r["case_id"] for r in records}),
         locality=sum(1 for r in records if flat(r["locality_ground_truth"])))


def zsre():
    records = load("zsre/zsre_mend_eval_1037.json")
    show("zsre", alt=sum(1 for r in records if r["alt"]),
         answers=sum(1 for r in records if flat(r["answers"])),
         marked=sum(r["loc"].startswith("nq question: ") for r in records),
         without_subject=sum(r["subject"] not in r["src"] for r in records),
         aliases=sum(len(set(flat(r["answers"]))) - 1 for r in records),
         portability=sum(1 for r in records if flat(r["portability"]["New Answer"])))


def knowedit(name):
    records = load(f"knowedit/{name}.json")
    counts, blank = collections.Counter(), 0
    for record in records:
        for side in ("portability", "locality"):
            for criterion, probes in record[side].items():
                for probe in probes:
                    prompts = len(flat(probe["prompt"]))
                    if flat(probe["ground_truth"]):
                        counts[f"{side}/{criterion}"] += prompts
                    else:
                        blank += prompts
    show(f"knowedit {name}", edits=len(records), blank=blank,
         answers=sum(len(set(flat(p["ground_truth"]))) for r in records for side in
                     ("portability", "locality") for ps in r[side].values() for p in ps
                     for _ in flat(p["prompt"])),
         **dict(sorted(counts.items())))


def first_day(text):
    return (text + "-01-01")[:10] if len(text) == 4 else (text + "-01")[:10]


def exists(text):
    try:
        return bool(datetime.date.fromisoformat(first_day(text)))
    except ValueError:
        return False


def last_day(text):
    return text + "-12-31" if len(text) == 4 else text + "-31" if len(text) == 7 else text


DYKNOW = set()


def dyknow(name):
    answers, skipped, facts, slots = 0, 0, set(), set()

    def slot(subject, relation, value):
        nonlocal answers, skipped
        slots.add((subject, relation))
        for answer in value["answers"]:
            answers += 1
            dates = {tag: re.sub("(-00)+$", "", day) for tag, day in
                     re.findall(r"\|([SEP]):? \+(\d{4}-\d\d-\d\d)T", answer)}
            start, end = dates.get("S"), dates.get("E")
            if start and end and last_day(end) < first_day(start):
                skipped += 1
                continue
            facts.add((subject, relation, answer.split(" |")[0], start and first_day(start)))

    for entities in load(f"dyknow/{name}.json").values():
        for subject, value in entities.items():
            if "answers" in value:
                slot(subject, None, value)
            else:
                for role, inner in value.items():
                    slot(subject, role, inner)
    DYKNOW.update(facts)  # the entities of one file are those of the other
    show(f"dyknow {name}", both=len(DYKNOW), answers=answers, skipped=skipped, slots=len(slots), facts=len(facts))


def yago(name):
    skipped, facts, rows = 0, set(), 0
    for line in open(f"{DATA}/yago11k/yago_{name}.txt", encoding="utf-8"):
        head, relation, tail, start, end = line.rstrip("\n").split("\t")
        rows += 1
        start, end = (re.sub("(-##)+$", "", day) for day in (start, end))
        start, end = (None if set(day) <= {"#"} else day for day in (start, end))
        if (start or "").startswith("-") or (end or "").startswith("-"):
            skipped += 1
            continue

        def full(day):
            year, _, rest = day.partition("-")
            return year.zfill(4) + ("-" + rest if rest else "")
        start, end = (day and full(day) for day in (start, end))
        if not all(exists(day) for day in (start, end) if day):
            skipped += 1
            continue
        if start and end and last_day(end) < first_day(start):
            skipped += 1
            continue
        facts.add((head, relation, tail, start and first_day(start)))
    show(f"yago11k {name}", rows=rows, skipped=skipped, facts=len(facts))


def congress():
    people = yaml.safe_load(open(f"{DATA}/congress/executive.yaml", encoding="utf-8"))
    kinds = collections.Counter(term["type"] for person in people for term in person["terms"])
    facts = {(json.dumps(person["name"]), term["type"], term["start"])
             for person in people for term in person["terms"]}
    show("congress", people=len(people), facts=len(facts), **dict(sorted(kinds.items())))


mquake()
counterfact()
zsre()
knowedit("zsre_test_all")
knowedit("wiki_recent_train")
dyknow("qa_generated")
dyknow("grc_generated")
for part in ("train", "valid", "test", "triple2id"):
    yago(part)
congress()
