"""Runs transformers on a model directory; test_transformers.py starts it where torch is installed.

    python run_transformers.py forward DIRECTORY CLASS INPUTS.npz OUTPUTS.npz
    python run_transformers.py make DIRECTORY CLASS CONFIG.json
    python run_transformers.py make_all CASES.json
    python run_transformers.py forward_all CASES.json
    python run_transformers.py train DIRECTORY CLASS BATCHES.npz OPTIONS.json AGAIN LOSSES.npy
    python run_transformers.py sample DIRECTORY CLASS INPUTS.npz LOGITS.npy
    python run_transformers.py tokenize DIRECTORY TEXTS.json IDS.json
    python run_transformers.py tokenize_as DIRECTORY CLASS TEXTS.json IDS.json
    python run_transformers.py convert PYTORCH_MODEL.bin MODEL.safetensors

`forward` prints the loading report as JSON: transformers' missing, unexpected and mismatched keys.
`train` takes a step of AdamW on each batch, whose keys are this project's, with a linear warm-up
and decay; `sample` computes the logits in training mode, that is with dropout.
The commands in `_all` do many cases in one process: CASES.json is a list of objects with the
arguments `directory`, `class_name` and so on. `forward_all` saves each model again, in `again`.
"""

import json
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import save_file


def forward(directory, class_name, inputs_path, outputs_path):
    cls = getattr(transformers, class_name)
    # Stored as bfloat16, transformers would compute in it too.
    model, report = cls.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    model.eval()
    inputs = {name: torch.tensor(value) for name, value in np.load(inputs_path).items()}
    if not getattr(model.config, "type_vocab_size", 0):
        del inputs["token_type_ids"]
    if class_name.endswith("ForMultipleChoice"):  # rows are questions with one choice each
        inputs = {name: value[:, None] for name, value in inputs.items()}
    with torch.no_grad():
        outputs = model(**inputs, output_hidden_states=True)
    arrays = {k: v.numpy() for k, v in outputs.items() if isinstance(v, torch.Tensor)}
    arrays["hidden_states"] = np.stack([state.numpy() for state in outputs.hidden_states])
    np.savez(outputs_path, **arrays)
    id2label = {str(key): value for key, value in model.config.id2label.items()}
    keys = ("missing_keys", "unexpected_keys", "mismatched_keys")
    print(json.dumps({**{k: sorted(report[k]) for k in keys}, "id2label": id2label}))
    return model


def make(directory, class_name, config_path):
    with open(config_path, encoding="utf-8") as file:
        config = transformers.AutoConfig.for_model(**json.load(file))
    torch.manual_seed(0)
    model = getattr(transformers, class_name)(config)
    for parameter in model.parameters():  # transformers starts biases at 0 and norms at 1
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(directory)


def make_all(cases_path):
    with open(cases_path, encoding="utf-8") as file:
        for case in json.load(file):
            make(case["directory"], case["class_name"], case["config_path"])


def forward_all(cases_path):
    with open(cases_path, encoding="utf-8") as file:
        for case in json.load(file):
            again = case.pop("again", None)
            model = forward(**case)
            if again is not None:
                model.save_pretrained(again)


def train(directory, class_name, batches_path, options_path, again, losses_path):
    model = getattr(transformers, class_name).from_pretrained(directory, dtype=torch.float32)
    with open(options_path, encoding="utf-8") as file:
        options = json.load(file)
    groups: dict[bool, list] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[not name.endswith("bias") and "LayerNorm" not in name].append(parameter)
    groups = [
        {"params": parameters, "weight_decay": options["weight_decay"] * decays}
        for decays, parameters in groups.items()
    ]
    optimizer = torch.optim.AdamW(groups, lr=options["learning_rate"], eps=1e-6)
    steps, rise = options["num_steps"], options["warmup_steps"]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: (s + 1) / rise if s < rise else (steps - s) / (steps - rise)
    )
    model.train()
    losses = []
    for batch in _batches(batches_path):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options["clip_norm"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    np.save(losses_path, losses)
    model.save_pretrained(again)


def _batches(path):
    """The batches of a file [steps, batch, ...] with transformers' keys."""
    names = {"token_ids": "input_ids", "segment_ids": "token_type_ids"}
    names |= {"padding_mask": "attention_mask", "label_ids": "labels", "tag_ids": "labels"}
    arrays = {key: torch.tensor(value).long() for key, value in np.load(path).items()}
    if "tag_weights" in arrays:  # transformers leaves out the label -100
        arrays["tag_ids"][arrays.pop("tag_weights") == 0] = -100
    for step in range(len(arrays["token_ids"])):
        yield {names.get(key, key): value[step] for key, value in arrays.items()}


def sample(directory, class_name, inputs_path, logits_path):
    torch.manual_seed(0)
    model = getattr(transformers, class_name).from_pretrained(directory, dtype=torch.float32)
    model.train()
    with torch.no_grad():
        logits = model(**{k: torch.tensor(v) for k, v in np.load(inputs_path).items()}).logits
    np.save(logits_path, logits.numpy())


def tokenize(directory, texts_path, ids_path):
    with open(texts_path, encoding="utf-8") as file:
        texts, pairs = json.load(file)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    options = {"truncation": "longest_first", "max_length": 24}
    encoded = tokenizer(texts, pairs, **options)
    slow = transformers.BertTokenizer.from_pretrained(directory)
    specials = [tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id]
    specials += [tokenizer.mask_token_id, tokenizer.unk_token_id]
    answer = {
        "input_ids": encoded["input_ids"],
        "token_type_ids": encoded["token_type_ids"],
        "slow_input_ids": slow(texts, pairs, **options)["input_ids"],
        "specials": specials,
    }
    with open(ids_path, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def tokenize_as(directory, class_name, texts_path, ids_path):
    """Ids of texts alone, of pairs cut to 24 tokens, and the texts' character offsets."""
    with open(texts_path, encoding="utf-8") as file:
        texts, pairs = json.load(file)
    tokenizer = getattr(transformers, class_name).from_pretrained(directory)
    alone = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    cut = tokenizer(texts, pairs, truncation="longest_first", max_length=24)
    answer = {
        "ids": alone["input_ids"],
        "offsets": alone["offset_mapping"],
        "pair_ids": cut["input_ids"],
    }
    with open(ids_path, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def convert(source, target):
    tensors = torch.load(source, map_location="cpu", weights_only=True)
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, target)


if __name__ == "__main__":
    commands = (
        *(forward, make, make_all, forward_all, train, sample),
        *(tokenize, tokenize_as, convert),
    )
    {command.__name__: command for command in commands}[sys.argv[1]](*sys.argv[2:])
