"""Independent judge of adapters in other programs' files.

    formats_judge.py check-gguf MODEL ADAPTER FILE   FILE against the PEFT adapter it was made from
    formats_judge.py make-gguf MODEL ADAPTER FILE [f16]   writes FILE from a PEFT adapter
    formats_judge.py check-mlx MODEL ADAPTER DIR
    formats_judge.py make-mlx MODEL ADAPTER DIR

GGUF files are read, written and named by the gguf package (0.19.0); the rows of Llama's queries and
keys are reordered as ggml-org/llama.cpp's converter is documented to do it. mlx-lm (0.32) does not
run here: its rules are written down from ml-explore/mlx-lm (mlx_lm/tuner/lora.py and utils.py).
Each check prints one JSON object. Several commands go into one call, separated by "+".
"""

import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import gguf  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "gpt2": gguf.MODEL_ARCH.GPT2,
}


def peft_layers(model, adapter):
    """Module path -> PEFT's LoRA layer."""
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, adapter)
    return {
        name.removeprefix("base_model.model."): module
        for name, module in adapted.named_modules()
        if hasattr(module, "lora_A") and (len(module.lora_A) or len(module.lora_embedding_A))
    }


def is_table(layer):
    return isinstance(layer.get_base_layer(), torch.nn.Embedding)


def peft_factors(layer):
    """A [r, in] and B [out, r]; of a table [r, entries] and [hidden, r]."""
    if is_table(layer):
        pair = layer.lora_embedding_A["default"], layer.lora_embedding_B["default"]
    else:
        pair = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    return tuple(factor.detach().numpy() for factor in pair)


def peft_delta(layer):
    """What PEFT adds to y = x W^T: [out, in], also where the base keeps W transposed."""
    delta = layer.get_delta_weight("default").detach().numpy()
    return delta.T if layer.fan_in_fan_out and not is_table(layer) else delta


def names_of(config):
    architecture = ARCHITECTURES[config.model_type]
    table = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    name = lambda path: table.get_name(path + ".weight", try_suffixes=(".weight",))  # noqa: E731
    return gguf.MODEL_ARCH_NAMES[architecture], name


def heads_of(config, path):
    """Heads whose rows llama.cpp wants in pairs."""
    if config.model_type != "llama":
        return None
    if path.endswith("q_proj"):
        return config.num_attention_heads
    return config.num_key_value_heads if path.endswith("k_proj") else None


def paired(matrix, heads):
    rows = matrix.shape[0]
    shaped = matrix.reshape(heads, 2, rows // heads // 2, *matrix.shape[1:])
    return shaped.swapaxes(1, 2).reshape(matrix.shape)


def distance(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    return float(np.abs(a - b).max() / np.abs(b).max())


def check_gguf(model, adapter, file):
    config = AutoConfig.from_pretrained(model)
    architecture, name_of = names_of(config)
    reader = gguf.GGUFReader(file)

    def field(key):
        found = reader.get_field(key)
        return found.contents() if found else None

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    alpha = np.float32(field("adapter.lora.alpha"))
    worst = 0.0
    layers = peft_layers(model, adapter)
    for path, layer in layers.items():
        name = name_of(path)
        a = tensors.pop(name + ".lora_a").data
        b = tensors.pop(name + ".lora_b").data
        expected = peft_delta(layer)
        heads = heads_of(config, path)
        if heads is not None:
            expected = paired(expected, heads)
        scale = alpha / np.float32(b.shape[1]) if alpha else np.float32(1)
        # llm_graph_context::build_inp_embd takes rows of lora_a.
        change = a @ b.T if is_table(layer) else b @ a
        worst = max(worst, distance(scale * change, expected))
    assert not tensors, list(tensors)
    assert field("general.architecture") == architecture
    print(
        json.dumps(
            {
                "modules": len(layers),
                "distance": worst,
                "alpha": float(alpha),
                "type": field("general.type"),
                "adapter": field("adapter.type"),
                "name": field("general.name"),
                "own": sorted(key for key in reader.fields if key.startswith("errata.")),
            }
        )
    )


def make_gguf(model, adapter, file, encoding="f32"):
    config = AutoConfig.from_pretrained(model)
    architecture, name_of = names_of(config)
    layers = peft_layers(model, adapter)
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    alpha = 5.0
    writer.add_float32("adapter.lora.alpha", alpha)
    writer.add_array("errata.test.list", ["some", "strings"])
    writer.add_uint64("errata.test.number", 2**40)
    kind = np.float16 if encoding == "f16" else np.float32
    for path, layer in layers.items():
        a, b = peft_factors(layer)
        b = b * (layer.scaling["default"] * a.shape[0] / alpha)
        if is_table(layer):
            a = np.ascontiguousarray(a.T)
        heads = heads_of(config, path)
        if heads is not None:
            b = paired(b, heads)
        writer.add_tensor(name_of(path) + ".lora_a", a.astype(kind))
        writer.add_tensor(name_of(path) + ".lora_b", b.astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def mlx_name(path):
    """mlx-lm's decoders stand under `model` in every family."""
    return path.replace("transformer.", "model.", 1) if path.startswith("transformer.") else path


def mlx_parameters(config, linears):
    """The adapter parameters that mlx-lm makes for a config, with their shapes: `keys` below each
    of the last `num_layers` layers, or in the whole model."""
    settings = config["lora_parameters"]
    in_layer = lambda path: len(path.split(".")) > 3  # noqa: E731
    total = 1 + max(int(path.split(".")[2]) for path in linears if in_layer(path))
    first = total - max(config["num_layers"], 0) if config["num_layers"] > 0 else 0
    keys = settings.get("keys")
    made = {}
    for path, (out, width) in linears.items():
        below_selected = False
        if in_layer(path):
            layer, below = path.split(".", 3)[2:]
            below_selected = int(layer) >= first and (keys is None or below in keys)
        if below_selected or (keys is not None and path in keys):
            made[path + ".lora_a"] = (width, settings["rank"])
            made[path + ".lora_b"] = (settings["rank"], out)
    return made


def base_linears(model):
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    linears = {}
    for path, module in base.named_modules():
        if not hasattr(module, "weight") or module.weight.dim() != 2:
            continue
        if isinstance(module, torch.nn.Linear):
            linears[mlx_name(path)] = tuple(module.weight.shape)
        elif isinstance(module, torch.nn.Embedding):  # LoRAEmbedding
            linears[mlx_name(path)] = tuple(module.weight.shape)[::-1]
        elif type(module).__name__ == "Conv1D":
            linears[mlx_name(path)] = tuple(module.weight.shape)[::-1]
    return linears


def check_mlx(model, adapter, directory):
    with open(os.path.join(directory, "adapter_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    assert config["fine_tune_type"] == "lora"
    weights = load_file(os.path.join(directory, "adapters.safetensors"))
    allowed = mlx_parameters(config, base_linears(model))
    for name, value in weights.items():
        assert allowed.get(name) == value.shape, (name, value.shape, allowed.get(name))
    worst = 0.0
    layers = peft_layers(model, adapter)
    for path, layer in layers.items():
        a = weights.pop(mlx_name(path) + ".lora_a")
        b = weights.pop(mlx_name(path) + ".lora_b")
        scale = np.float32(config["lora_parameters"]["scale"])
        # LoRALinear.fuse and LoRAEmbedding.fuse
        delta = (scale * a) @ b if is_table(layer) else (scale * b.T) @ a.T
        worst = max(worst, distance(delta, peft_delta(layer)))
    assert not weights, list(weights)
    print(
        json.dumps(
            {
                "modules": len(layers),
                "distance": worst,
                "idle": len(allowed) // 2 - len(layers),
                "scale": config["lora_parameters"]["scale"],
            }
        )
    )


def make_mlx(model, adapter, directory):
    """A fine-tuned model's files, values from a PEFT adapter of one rank and scale."""
    os.makedirs(directory, exist_ok=True)
    layers = peft_layers(model, adapter)
    weights = {}
    for path, layer in layers.items():
        a, b = peft_factors(layer)
        weights[mlx_name(path) + ".lora_a"] = np.ascontiguousarray(a.T)
        weights[mlx_name(path) + ".lora_b"] = np.ascontiguousarray(b.T)
    save_file(weights, os.path.join(directory, "adapters.safetensors"))
    config = {
        "adapter_path": directory,
        "batch_size": 4,
        "fine_tune_type": "lora",
        "num_layers": -1,
        "lora_parameters": {
            "rank": a.shape[0],
            "dropout": 0.0,
            "scale": layer.scaling["default"],
        },
        "seed": 0,
        "train": True,
    }
    with open(os.path.join(directory, "adapter_config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)


COMMANDS = {
    "check-gguf": check_gguf,
    "make-gguf": make_gguf,
    "check-mlx": check_mlx,
    "make-mlx": make_mlx,
}


def main(arguments):
    while arguments:
        end = arguments.index("+") if "+" in arguments else len(arguments)
        command, *values = arguments[:end]
        COMMANDS[command](*values)
        arguments = arguments[end + 1 :]


main(sys.argv[1:])
