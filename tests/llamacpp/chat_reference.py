"""The judges of chat formats: the templates that the models' authors publish.

usage: chat_reference.py LLAMA_CPP LLAMA_CHAT MISTRAL DIRECTORY TEXTS

TEXTS is a JSON list of {"user", "system", "today"}, the last two perhaps null. Prints, for each format of errata,
{format: {"texts": {judge: [text or null]}, "ids": [...]}}:

- texts by the Jinja templates in llama.cpp's source (models/templates, and those in its GGUF vocabularies), by the
  templates that Mistral's package generates, and by the formats that llama.cpp has built in; without BOS, which each
  template must write exactly where its model has one; null where a judge has no such conversation.
- ids of the whole conversation, by transformers (of a small tokenizer with the family's tokens, written as
  DIRECTORY/<format>/) or by Mistral's package (of its own tokenizer, copied there).
"""
import json
import pathlib
import shutil
import subprocess
import sys

from jinja2.sandbox import ImmutableSandboxedEnvironment

llama_cpp, llama_chat, mistral, directory, texts = map(pathlib.Path, sys.argv[1:])
sys.path.append(str(mistral))  # behind, so that what both have is the interpreter's own
TEMPLATES = llama_cpp / "models/templates"
BOS = "<the BOS>"
texts = json.loads(texts.read_text())


def published(name):
    return (TEMPLATES / f"{name}.jinja").read_text()


def in_vocabulary(name):
    from gguf import GGUFReader

    field = GGUFReader(llama_cpp / f"models/ggml-vocab-{name}.gguf").fields["tokenizer.chat_template"]
    return bytes(field.parts[field.data[0]]).decode()


def qwen2_audio():
    """Qwen 2's, as far as texts go; transformers carries it for the model that hears."""
    from transformers.models.qwen2_audio.processing_qwen2_audio import Qwen2AudioProcessor

    return Qwen2AudioProcessor.default_chat_template.fget(None)


def generated(version, spm):
    from mistral_common.integrations.chat_templates.chat_templates import generate_chat_template
    from mistral_common.tokens.tokenizers.base import TokenizerVersion

    return generate_chat_template(
        spm=spm, tokenizer_version=TokenizerVersion(version), image_support=False, audio_support=False,
        thinking_support=False, default_system_prompt=None, plain_thinking_support=False,
        use_special_token_variables=True, model_settings_fields=None, reasoning_effort_values=None,
        reasoning_effort_default=None)


def date_string(text):
    import datetime

    return datetime.date.fromisoformat(text["today"]).strftime("%d %b %Y") if text["today"] else None


def messages_of(text, system="own"):
    user = {"role": "user", "content": text["user"]}
    if text["system"] is None:
        return [user]
    if system == "own":
        return [{"role": "system", "content": text["system"]}, user]
    if system == "none":
        return None
    # Gemma 3's template puts the system text at the head of the user's, Gemma 2's takes none; both trim what follows.
    return [{"role": "user", "content": text["system"] + "\n\n" + text["user"].strip()}]


class Template:
    """A Jinja template with what it is given; `bos`: its model has one."""

    def __init__(self, source, bos=True, system="own", needs_system=False, dated=False, takes_empty=True,
                 **variables):
        self.source, self.bos, self.system, self.variables = source, bos, system, variables
        self.needs_system, self.dated, self.takes_empty = needs_system, dated, takes_empty

    def inputs(self, text):
        messages = messages_of(text, self.system)
        if messages is None or (self.needs_system and text["system"] is None):
            return None
        if text["today"] and not self.dated:
            return None
        if not self.takes_empty and text["system"] == "":
            return None
        if self.system == "head" and (text["system"] or "") != (text["system"] or "").strip():
            return None  # Gemma 2 would trim the system text
        dated = {"date_string": date_string(text)} if text["today"] else {}
        return messages, {**self.variables, **dated}

    def render(self, text):
        inputs = self.inputs(text)
        if inputs is None:
            return None

        def fail(message):
            raise ValueError(message)

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals.update(raise_exception=fail, strftime_now=lambda form: "a day of no template")
        rendered = environment.from_string(self.source).render(
            messages=inputs[0], add_generation_prompt=True, bos_token=BOS, eos_token="</s>", **inputs[1])
        assert rendered.count(BOS) == self.bos and rendered.startswith(BOS) == self.bos, rendered
        return rendered.removeprefix(BOS)


class BuiltIn:
    """A format of llama.cpp."""

    def __init__(self, name):
        self.name = name

    def render(self, text):
        # It knows no day, no empty system text, and trims Gemma's, which Gemma 3's template does not; of white space it
        # trims ASCII's.
        if text["user"].strip() != text["user"].strip(" \t\n\v\f\r"):
            return None
        if text["today"] or (text["system"] is not None and text["system"].strip() != (text["system"] or " ")):
            return None
        system = [] if text["system"] is None else [text["system"]]
        return subprocess.run([llama_chat, self.name, text["user"], *system], check=True, capture_output=True,
                              text=True).stdout


def byte_level(special, bos):
    """A small tokenizer with these tokens, as tokenizer.json."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokens = [AddedToken(token, normalized=False, special=True) for token in ([bos] if bos else []) + special]
    corpus = [text[key] or "" for text in texts for key in ("user", "system")] + ["user system model assistant\n\n"] * 9
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=400, special_tokens=tokens, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    return tokenizer


def ids_by_transformers(name, template, special, bos=None):
    from transformers import PreTrainedTokenizerFast

    path = directory / name
    made = PreTrainedTokenizerFast(
        tokenizer_object=byte_level(special, bos), bos_token=bos, eos_token=special[-1],
        chat_template=getattr(template, "source", None))
    made.save_pretrained(path)
    judge = PreTrainedTokenizerFast.from_pretrained(path)

    def ids(text):
        if isinstance(template, BuiltIn):
            rendered = template.render(text)
            return None if rendered is None else judge(bos + rendered, add_special_tokens=False)["input_ids"]
        inputs = template.inputs(text)
        return None if inputs is None else judge.apply_chat_template(
            inputs[0], add_generation_prompt=True, return_dict=False, **inputs[1])

    return [ids(text) for text in texts]


def ids_by_mistral(name, file):
    import mistral_common
    from mistral_common.protocol.instruct.messages import SystemMessage, UserMessage
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    file = pathlib.Path(mistral_common.__file__).parent / "data" / file
    (directory / name).mkdir()
    shutil.copy(file, directory / name / "tokenizer.model")
    judge = MistralTokenizer.from_file(str(file))
    result = []
    for text in texts:
        if text["today"] or text["system"] == "":
            result.append(None)
            continue
        system = [] if text["system"] is None else [SystemMessage(content=text["system"])]
        result.append(judge.encode_chat_completion(
            ChatCompletionRequest(messages=[*system, UserMessage(content=text["user"])])).tokens)
    return result


GEMMA = Template(published("google-gemma-2-2b-it"), system="head")
LLAMA31 = Template(published("meta-llama-Llama-3.1-8B-Instruct"), dated=True)
# By itself it says the day of the rendering.
LLAMA32 = Template(published("meta-llama-Llama-3.2-3B-Instruct"), dated=True, date_string="26 Jul 2024")
QWEN15 = Template(in_vocabulary("qwen2"), bos=False)
QWEN2 = Template(qwen2_audio(), bos=False)
QWEN25 = Template(published("Qwen-Qwen2.5-7B-Instruct"), bos=False)
QWEN3 = Template(published("Qwen-Qwen3-0.6B"), bos=False)
NO_THINK = Template(published("Qwen-Qwen3-0.6B"), bos=False, enable_thinking=False)
# Of an empty system text it leaves two line ends, Mistral's own package nothing.
NEMO = Template(published("mistralai-Mistral-Nemo-Instruct-2407"), takes_empty=False)
# Without a system text it writes one of two pages.
SMALL = Template(published("Mistral-Small-3.2-24B-Instruct-2506"), needs_system=True)
TURNS = ["<start_of_turn>", "<end_of_turn>"]
HEADERS = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
MARKS = ["<|im_start|>", "<|im_end|>"]
INST = ["[INST]", "[/INST]", "</s>"]

FORMATS = {
    "gemma": ({"Gemma 2": GEMMA, "llama.cpp": BuiltIn("gemma")},
              lambda name: ids_by_transformers(name, GEMMA, TURNS, "<bos>")),
    "llama3.1": ({"Llama 3.1": LLAMA31, "Llama 3.2": LLAMA32,
                  "Llama 3.3": Template(published("meta-llama-Llama-3.3-70B-Instruct"), dated=True)},
                 lambda name: ids_by_transformers(name, LLAMA31, ["<|eom_id|>", *HEADERS], "<|begin_of_text|>")),
    "llama3": ({"llama.cpp": BuiltIn("llama3")},
               lambda name: ids_by_transformers(name, BuiltIn("llama3"), HEADERS, "<|begin_of_text|>")),
    "qwen1.5": ({"Qwen 1.5": QWEN15}, lambda name: ids_by_transformers(name, QWEN15, MARKS)),
    "qwen2": ({"Qwen 2": QWEN2}, lambda name: ids_by_transformers(name, QWEN2, MARKS)),
    "qwen2.5": ({"Qwen 2.5": QWEN25}, lambda name: ids_by_transformers(name, QWEN25, ["<tool_call>", *MARKS])),
    "qwen3": ({"Qwen 3": QWEN3, "llama.cpp": BuiltIn("chatml")},
              lambda name: ids_by_transformers(name, QWEN3, ["<tool_call>", "<think>", "</think>", *MARKS])),
    "qwen3-no-think": ({"Qwen 3": NO_THINK},
                       lambda name: ids_by_transformers(name, NO_THINK, ["<think>", "</think>", *MARKS])),
    "mistral-v1": ({"Mistral": Template(generated("v1", True)), "llama.cpp": BuiltIn("mistral-v1")},
                   lambda name: ids_by_mistral(name, "tokenizer.model.v1")),
    "mistral-v3": ({"Mistral": Template(generated("v3", True)), "Mistral v2": Template(generated("v2", True)),
                    "llama.cpp": BuiltIn("mistral-v3")},
                   lambda name: ids_by_mistral(name, "mistral_instruct_tokenizer_240323.model.v3")),
    "mistral-v7": ({"Mistral": Template(generated("v7", True)), "llama.cpp": BuiltIn("mistral-v7")},
                   lambda name: ids_by_mistral(name, "mistral_instruct_tokenizer_241114.model.v7")),
    "mistral-v3-tekken": ({"Nemo": NEMO, "Mistral": Template(generated("v3", False)),
                           "llama.cpp": BuiltIn("mistral-v3-tekken")},
                          lambda name: ids_by_transformers(name, NEMO, INST, "<s>")),
    "mistral-v7-tekken": ({"Mistral Small 3.2": SMALL, "Mistral": Template(generated("v7", False)),
                           "llama.cpp": BuiltIn("mistral-v7-tekken")},
                          lambda name: ids_by_transformers(
                              name, SMALL, ["[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", *INST], "<s>")),
}
print(json.dumps({
    name: {"texts": {judge: [source.render(text) for text in texts] for judge, source in judges.items()},
           "ids": ids(name)}
    for name, (judges, ids) in FORMATS.items()}))
