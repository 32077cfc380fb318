"""Opens a LoRA directory in PEFT, or makes one; test_peft.py starts it where torch is installed.

    python run_peft.py forward BASE DIRECTORY INPUTS.npz OUTPUTS.npz
    python run_peft.py make BASE DIRECTORY INPUTS.npz OUTPUTS.npz

Both write the logits of BertForSequenceClassification with the adapter.
"""

import sys

import numpy as np
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model


def main(command, base, directory, inputs_path, outputs_path):
    torch.manual_seed(0)
    options = {"num_labels": 3} if command == "forward" else {"num_labels": 4}
    plain = transformers.BertForSequenceClassification.from_pretrained(base, **options)
    if command == "forward":
        model = PeftModel.from_pretrained(plain, directory)
    else:
        config = LoraConfig(
            task_type="SEQ_CLS",
            r=4,
            lora_alpha=8,
            target_modules=["query", "key", "intermediate.dense"],
            modules_to_save=["pooler"],
        )
        model = get_peft_model(plain, config)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(directory)
    model.eval()
    inputs = {name: torch.tensor(value) for name, value in np.load(inputs_path).items()}
    with torch.no_grad():
        np.savez(outputs_path, logits=model(**inputs).logits.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
