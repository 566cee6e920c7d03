"""The judge of tokenizer.json: transformers with tokenizers.

usage: bpe_reference.py DIRECTORY TEXTS

TEXTS is a JSON list. Trains a small BPE on it for each style that published models have, writes them as
DIRECTORY/<style>/tokenizer.json and tokenizer_config.json, and prints {style: [{"ids", "text"}]}: ids as
transformers gives them to a prompt, and the text decoded from them without special tokens.
"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SIGN = "\u2581"


def byte_level(pattern=None, normalizer=None, bos=None, ignore_merges=False, prefix=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pattern:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()

    def finish(special):
        level = processors.ByteLevel(trim_offsets=False)
        if bos is None:
            tokenizer.post_processor = level
        else:
            template = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, special[bos])])
            tokenizer.post_processor = processors.Sequence([level, template])
    return tokenizer, alphabet, finish


def sentencepiece(metaspace):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    steps = [decoders.Replace(SIGN, " "), decoders.ByteFallback(), decoders.Fuse()]
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SIGN), normalizers.Replace(" ", SIGN)])
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)

    def finish(special):
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", special["<s>"])])
    return tokenizer, [SIGN], finish


STYLES = {
    "gpt2": (lambda: byte_level(), ["<|endoftext|>"], {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}),
    "roberta": (lambda: byte_level(prefix=True), ["<s>", "</s>"], {"eos_token": "</s>"}),
    "llama3": (lambda: byte_level(LLAMA3, bos="<|begin_of_text|>", ignore_merges=True),
               ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
               {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}),
    "qwen2": (lambda: byte_level(QWEN2, normalizers.NFC()), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
              {"eos_token": "<|im_end|>"}),
    "llama2": (lambda: sentencepiece(False), ["<unk>", "<s>", "</s>"], {"bos_token": "<s>", "eos_token": "</s>"}),
    "metaspace": (lambda: sentencepiece(True), ["<unk>", "<s>", "</s>"], {"bos_token": "<s>", "eos_token": "</s>"}),
}


def main(directory, texts):
    result = {}
    for style, (build, special, config) in STYLES.items():
        tokenizer, alphabet, finish = build()
        tokens = [AddedToken(token, normalized=False, special=True) for token in special]
        if style in ("llama2", "metaspace"):
            tokens += [f"<0x{byte:02X}>" for byte in range(256)]
        # Without the longest text, which is there to be encoded.
        tokenizer.train_from_iterator(
            [text for text in texts if len(text) < 100_000],
            trainers.BpeTrainer(vocab_size=3000, initial_alphabet=alphabet, special_tokens=tokens, show_progress=False,
                                limit_alphabet=500))
        # A tool's token that is no special one, and swallows the blanks before it.
        tokenizer.add_tokens([AddedToken("<tool>", normalized=False, lstrip=True)])
        finish({token: tokenizer.token_to_id(token) for token in special})
        path = directory / style
        path.mkdir()
        document = json.loads(tokenizer.to_str())
        # Byte pieces are pieces, not added tokens; the trainer knows no other way to have them.
        document["added_tokens"] = [t for t in document["added_tokens"] if not t["content"].startswith("<0x")]
        (path / "tokenizer.json").write_text(json.dumps(document))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **config}
        (path / "tokenizer_config.json").write_text(json.dumps(config))
        judge = PreTrainedTokenizerFast.from_pretrained(path)
        result[style] = []
        for text in texts:
            ids = judge(text)["input_ids"]
            result[style].append({
                "ids": ids,
                "text": judge.decode(ids, skip_special_tokens=True),
            })
    print(json.dumps(result))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text()))
