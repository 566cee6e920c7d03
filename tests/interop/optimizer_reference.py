"""Runs torch.optim on the parameters and gradients of a file.

usage: optimizer_reference.py IN.safetensors OUT.safetensors KIND STEPS OPTIONS_JSON
IN holds value.<i> and gradient.<step>.<i>; OUT gets value.<i> after STEPS steps.
"""
import json
import sys

import torch
from safetensors.torch import load_file, save_file


def main():
    source, target, kind, steps, options = sys.argv[1:]
    tensors = load_file(source)
    count = sum(name.startswith("value.") for name in tensors)
    values = [torch.nn.Parameter(tensors[f"value.{i}"].clone()) for i in range(count)]
    options = json.loads(options)
    if kind == "muon":
        if not options.pop("bfloat16"):
            # The iteration runs in bfloat16; without the cast it is the same algorithm in float32.
            torch.Tensor.bfloat16 = lambda tensor: tensor.clone()
        optimizer = torch.optim.Muon(values, adjust_lr_fn="match_rms_adamw", **options)
    else:
        optimizer = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[kind](values, **options)
    for step in range(int(steps)):
        for i, value in enumerate(values):
            value.grad = tensors[f"gradient.{step}.{i}"].clone()
        optimizer.step()
    save_file({f"value.{i}": value.detach().contiguous() for i, value in enumerate(values)}, target)


if __name__ == "__main__":
    main()
