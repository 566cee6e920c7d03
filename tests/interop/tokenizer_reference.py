"""The judges of the tokenizer: sentencepiece, and transformers for what errata trains.

usage: tokenizer_reference.py spm MODEL TEXTS          ids of each text, by sentencepiece
       tokenizer_reference.py transformers DIR TEXTS   ids with BOS and the text decoded from them

TEXTS is a JSON list; the result is JSON on stdout.
"""
import json
import pathlib
import sys


def by_sentencepiece(model, texts):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=model)
    return [{"ids": ids, "text": processor.decode(ids)} for ids in processor.encode(texts)]


def by_transformers(directory, texts):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    result = []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        result.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=True)})
    return {
        "class": type(tokenizer).__name__,
        "size": len(tokenizer),
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "texts": result,
    }


if __name__ == "__main__":
    judge = by_sentencepiece if sys.argv[1] == "spm" else by_transformers
    print(json.dumps(judge(sys.argv[2], json.loads(pathlib.Path(sys.argv[3]).read_text()))))
