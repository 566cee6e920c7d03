"""Independent judge of adapters: the peft library on random models.

    peft_judge.py make-model DIR [FAMILY]   writes a random checkpoint: gemma3, llama, gpt2, bare-gpt2 or griffin
    peft_judge.py make-adapter MODEL DIR NAME   writes an adapter as PEFT does
    peft_judge.py score MODEL ADAPTER       prints log-probabilities of fixed tokens as JSON
    peft_judge.py score-merged MODEL        the same without an adapter
    peft_judge.py combine MODEL FIRST SECOND HOW    the same with add_weighted_adapter, weights 0.7 and -0.4
    peft_judge.py select FILE               prints what each config of FILE selects

Several commands go into one call, separated by "+"; each prints at most one line.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from peft import (  # noqa: E402
    AdaLoraConfig,
    AdaptionPromptConfig,
    IA3Config,
    LoraConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    VeraConfig,
    get_peft_model,
)
from peft.tuners.tuners_utils import check_target_module_exists  # noqa: E402
from peft.utils.other import get_pattern_key  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
)

TOKENS = [2, 17, 5, 44, 9, 61, 30, 3, 3, 58, 12, 40]

ADAPTERS = {
    "lora": dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj"]),
    "rslora": dict(r=9, lora_alpha=6, use_rslora=True, target_modules="all-linear"),
    "patterns": dict(
        r=4,
        lora_alpha=6,
        target_modules=["q_proj", "down_proj", "mlp.up_proj"],
        layers_to_transform=[1, 2],
        rank_pattern={"layers.1.mlp.down_proj": 7, "q_proj": 2},
        alpha_pattern={"up_proj": 3, "mlp.*": 11},
    ),
    "dora": dict(r=4, lora_alpha=6, use_dora=True, target_modules=["q_proj", "down_proj"]),
    "every-linear": dict(r=3, lora_alpha=5, target_modules="all-linear"),
    "dora-every": dict(r=3, lora_alpha=5, use_dora=True, target_modules="all-linear"),
    "expression": dict(r=3, lora_alpha=4, target_modules=r".*\.[02]\..*(k|gate)_proj"),
    "excluded": dict(
        r=3, lora_alpha=4, target_modules=["o_proj"], exclude_modules=["1.self_attn.o_proj"]
    ),
    # Names of every family: what a model does not have is passed over.
    "embedding": dict(r=4, lora_alpha=2, target_modules=["q_proj", "c_attn", "embed_tokens", "wte"]),
    "embedding-alone": dict(r=3, lora_alpha=2, use_rslora=True, target_modules=["embed_tokens", "wte"]),
    "positions": dict(r=3, lora_alpha=2, target_modules=["c_attn", "q_proj", "wpe"]),
    "head": dict(r=4, lora_alpha=6, target_modules=["q_proj", "c_attn", "lm_head"]),
    "both-tables": dict(
        r=4,
        lora_alpha=3,
        target_modules=["embed_tokens", "wte", "lm_head"],
        rank_pattern={"embed_tokens": 2, "wte": 5},
    ),
    "dora-tables": dict(
        r=3,
        lora_alpha=2,
        use_dora=True,
        target_modules=["q_proj", "c_attn", "embed_tokens", "wte", "lm_head"],
    ),
    "tied-tables": dict(
        r=3,
        lora_alpha=2,
        target_modules=["q_proj", "c_attn", "lm_head"],
        ensure_weight_tying=True,
    ),
    "tied-by-expression": dict(
        r=3, lora_alpha=2, target_modules=r".*(q_proj|c_attn)|lm_head", ensure_weight_tying=True
    ),
    "tied-copies": dict(
        r=3,
        lora_alpha=2,
        target_modules=["q_proj", "c_attn"],
        modules_to_save=["lm_head"],
        ensure_weight_tying=True,
    ),
    "bias-all": dict(r=3, lora_alpha=4, bias="all", target_modules=["q_proj", "c_attn"]),
    "bias-targets": dict(r=3, lora_alpha=4, bias="lora_only", target_modules=["q_proj", "c_attn"]),
    "dora-bias": dict(
        r=3, lora_alpha=4, use_dora=True, bias="lora_only", target_modules=["q_proj", "c_attn"]
    ),
    "saved-norms": dict(
        r=3,
        lora_alpha=4,
        target_modules=["q_proj", "c_attn"],
        modules_to_save=["norm", "ln_f", "1.ln_1", "q_norm"],
    ),
    "saved-tables": dict(
        r=3,
        lora_alpha=4,
        target_modules=["q_proj", "c_attn"],
        modules_to_save=["embed_tokens", "wte", "lm_head"],
    ),
    "saved-block": dict(
        r=3,
        lora_alpha=4,
        bias="all",
        target_modules=["q_proj", "c_attn"],
        modules_to_save=["1.mlp", "lm_head"],
    ),
}

# Every other type, by the class of its config.
OTHERS = {
    "adalora": lambda: AdaLoraConfig(
        init_r=5, target_r=2, lora_alpha=7, total_step=10, target_modules=["q_proj", "down_proj"]),
    "adalora-every": lambda: AdaLoraConfig(
        init_r=5, target_r=2, total_step=10, target_modules="all-linear"),
    "vera-every": lambda: VeraConfig(r=7, target_modules="all-linear"),
    "ia3-default": lambda: IA3Config(),
    "ia3-saved": lambda: IA3Config(modules_to_save=["lm_head", "ln_f", "model.norm"]),
    "adalora-saved": lambda: AdaLoraConfig(
        init_r=5, target_r=2, total_step=10, target_modules=["q_proj", "c_attn", "lm_head"],
        bias="all", modules_to_save=["embed_tokens", "wte"]),
    "vera-saved": lambda: VeraConfig(
        r=7, target_modules=["q_proj", "c_attn"], bias="vera_only", modules_to_save=["lm_head"]),
    "vera": lambda: VeraConfig(r=11, d_initial=0.3, target_modules=["q_proj", "k_proj", "down_proj"]),
    "vera-unsaved": lambda: VeraConfig(
        r=11, projection_prng_key=5, save_projection=False, target_modules=["q_proj", "down_proj"]),
    "prompt": lambda: PromptTuningConfig(num_virtual_tokens=4),
    "p-tuning": lambda: PromptEncoderConfig(num_virtual_tokens=4, encoder_hidden_size=9),
    "prefix": lambda: PrefixTuningConfig(num_virtual_tokens=4),
    "projected-prefix": lambda: PrefixTuningConfig(
        num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=9),
    "adaption": lambda: AdaptionPromptConfig(adapter_len=5, adapter_layers=2),
    "ia3": lambda: IA3Config(
        target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "ia3-no-feedforward": lambda: IA3Config(target_modules=["down_proj"], feedforward_modules=[]),
    "ia3-family-feedforward": lambda: IA3Config(target_modules=["down_proj"]),
}


def load(path):
    return AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager"
    ).eval()


SHAPE = dict(
    vocab_size=70,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
)
SPECIAL = dict(pad_token_id=0, eos_token_id=1, bos_token_id=2, initializer_range=0.2)
GEMMA3 = dict(
    head_dim=8,
    max_position_embeddings=64,
    sliding_window=5,
    layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    query_pre_attn_scalar=11,
)
MODELS = {
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, **SPECIAL, **GEMMA3)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, **SPECIAL)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=70, n_embd=24, n_layer=3, n_head=4, n_positions=64, **SPECIAL)
    ),
    # As GPT-2's own files are: without the root's name, and without a head.
    "bare-gpt2": lambda: GPT2Model(
        GPT2Config(vocab_size=70, n_embd=24, n_layer=3, n_head=4, n_positions=64, **SPECIAL)
    ),
    "griffin": lambda: RecurrentGemmaForCausalLM(
        RecurrentGemmaConfig(
            **{**SHAPE, "num_attention_heads": 3, "num_key_value_heads": 1}, attention_window_size=5, **SPECIAL
        )
    ),
}


def make_model(path, family="gemma3"):
    torch.manual_seed(3)
    MODELS[family]().to(torch.float32).save_pretrained(path)


def make_adapter(model, path, name):
    torch.manual_seed(4)
    config = OTHERS[name]() if name in OTHERS else LoraConfig(**ADAPTERS[name])
    config.task_type = "CAUSAL_LM"
    adapted = get_peft_model(load(model), config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    adapted.save_pretrained(path)


def score(model):
    with torch.no_grad():
        # A soft prompt's own positions come before those of the tokens.
        logits = model(torch.tensor([TOKENS])).logits[0, -len(TOKENS):]
    logprobs = torch.log_softmax(logits.float(), -1)
    print(json.dumps([logprobs[i, t].item() for i, t in enumerate(TOKENS[1:])]))


def score_adapter(model, adapter):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = PeftModel.from_pretrained(load(model), adapter)
    missing = [str(w.message) for w in caught if "missing" in str(w.message).lower()]
    assert not missing, missing
    score(adapted.eval())


def combine(model, first, second, how):
    adapted = PeftModel.from_pretrained(load(model), first, adapter_name="first")
    adapted.load_adapter(second, adapter_name="second")
    pruned = not how.startswith(("cat", "svd", "linear"))
    adapted.add_weighted_adapter(
        ["first", "second"], [0.7, -0.4], "both", combination_type=how,
        **(dict(density=0.4) if pruned else {}), **(dict(svd_rank=3) if how.endswith("svd") else {}))
    adapted.set_adapter("both")
    score(adapted.eval())


def select(path):
    with open(path, encoding="utf-8") as file:
        cases = json.load(file)
    answers = []
    for config_json in cases["configs"]:
        config = LoraConfig(**config_json)
        # A plain list: peft turns lists into sets, which does not matter for matching.
        selected = [p for p in cases["paths"] if check_target_module_exists(config, p) is True
                    or type(check_target_module_exists(config, p)).__name__ == "Match"]
        ranks = [config.rank_pattern.get(get_pattern_key(config.rank_pattern, p), config.r)
                 for p in selected]
        answers.append({"selected": selected, "ranks": ranks})
    print(json.dumps(answers))


COMMANDS = {
    "make-model": make_model,
    "make-adapter": make_adapter,
    "score": score_adapter,
    "score-merged": lambda model: score(load(model)),
    "combine": combine,
    "select": select,
}


def main(arguments):
    """Runs the commands, which "+" separates: starting Python with torch takes seconds."""
    while arguments:
        end = arguments.index("+") if "+" in arguments else len(arguments)
        command, *values = arguments[:end]
        COMMANDS[command](*values)
        arguments = arguments[end + 1 :]


main(sys.argv[1:])
