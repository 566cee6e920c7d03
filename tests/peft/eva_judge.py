"""Independent judge of EVA starts: peft's initialize_lora_eva_weights on a checkpoint.

    eva_judge.py MODEL FILE     prints what peft makes of each case of FILE, a JSON line each

FILE: {"sequences": token lists, "cases": [{"r", "rho", "alpha", "rslora"}]}. Written for peft 0.21.2.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights  # noqa: E402
from peft.tuners.lora import eva  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402


def exactly(**options):
    """peft's incremental decomposition by the exact one that it has beside its randomised one."""
    return INCREMENTAL(**{**options, "lowrank": False})


INCREMENTAL, eva.IncrementalPCA = eva.IncrementalPCA, exactly


def start(path, sequences, case):
    model = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager").eval()
    config = LoraConfig(
        r=case["r"], lora_alpha=case["alpha"], use_rslora=case["rslora"], target_modules="all-linear",
        init_lora_weights="eva", eva_config=EvaConfig(rho=case["rho"]), task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    length = max(map(len, sequences))
    batch = {
        "input_ids": torch.tensor([s + [0] * (length - len(s)) for s in sequences]),
        "attention_mask": torch.tensor([[1] * len(s) + [0] * (length - len(s)) for s in sequences]),
    }
    initialize_lora_eva_weights(adapted, [batch], show_progress_bar=False)
    done = adapted.peft_config["default"]
    directions, scales = {}, {}
    for name, module in adapted.base_model.model.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            directions[name] = module.lora_A["default"].weight.tolist()
            scales[name] = module.scaling["default"]
    return {"rank_pattern": done.rank_pattern, "alpha_pattern": done.alpha_pattern,
            "directions": directions, "scales": scales}


model_path, file = sys.argv[1:]
with open(file, encoding="utf-8") as stream:
    question = json.load(stream)
for one in question["cases"]:
    print(json.dumps(start(model_path, question["sequences"], one)))
