"""Independent judge of P-tuning's encoders: peft's PromptEncoder.

    encoder_judge.py FILE TYPE HIDDEN     prints the table that it makes of errata's tensors in FILE
    encoder_judge.py make MODEL DIR TYPE  writes an adapter with a random encoder, as PEFT does

Written for peft 0.21.2.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from peft import PromptEncoderConfig, get_peft_model  # noqa: E402
from peft.tuners.p_tuning.model import PromptEncoder  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402


def their_name(name):
    """Its layers of activation count too."""
    head, _, rest = name.partition(".")
    if head != "mlp_head":
        return name
    index, _, part = rest.partition(".")
    return f"mlp_head.{2 * int(index)}.{part}"


def table(file, kind, hidden):
    tensors = {their_name(name): tensor for name, tensor in load_file(file).items()}
    count, size = tensors["embedding.weight"].shape
    encoder = PromptEncoder(PromptEncoderConfig(
        num_virtual_tokens=count, token_dim=size, num_transformer_submodules=1,
        encoder_reparameterization_type=kind, encoder_hidden_size=int(hidden)))
    encoder.load_state_dict(tensors)  # all of them, and no other
    with torch.no_grad():
        print(json.dumps(encoder.eval()(torch.arange(count).unsqueeze(0))[0].tolist()))


def make(model, path, kind):
    torch.manual_seed(4)
    config = PromptEncoderConfig(
        num_virtual_tokens=4, encoder_hidden_size=9, encoder_reparameterization_type=kind,
        task_type="CAUSAL_LM")
    get_peft_model(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), config).save_pretrained(path)


if sys.argv[1] == "make":
    make(*sys.argv[2:])
else:
    table(*sys.argv[1:])
