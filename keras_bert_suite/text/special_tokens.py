"""The five special tokens of a tokenizer, as Hugging Face's files name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def names(defaults: Mapping[str, str], *files: tuple[Path, Mapping[str, Any]]) -> dict[str, str]:
    """The token of each role.

    Args:
      defaults: role -> token, for the roles that no file names.
      *files: (path, content), the first that names a role decides; a token is a string or an
        object with "content".

    Raises:
      ValueError: a name that is no text, or one token for two roles.
    """
    found = dict(defaults)
    for path, content in reversed(files):
        for role in ROLES:
            token = content.get(role)
            if isinstance(token, Mapping):
                token = token.get("content")
            if token is None:
                continue
            if not isinstance(token, str) or not token:
                raise ValueError(f"{path}: {role} must be a token's text. Got: {token!r}")
            found[role] = token
    if len(set(found.values())) != len(ROLES):
        where = " or ".join(str(path) for path, _ in files)
        raise ValueError(f"The special tokens must differ. Got: {found}, see {where}")
    return found


def ids(vocabulary: Sequence[str], tokens: Mapping[str, str], *, source: str) -> tuple[int, ...]:
    """The ids of the special tokens, in the order of `ROLES`.

    Raises:
      ValueError: one is not in the vocabulary.
    """
    positions = {token: index for index, token in enumerate(vocabulary)}
    missing = [tokens[role] for role in ROLES if tokens[role] not in positions]
    if missing:
        raise ValueError(
            f"The vocabulary must have the special tokens {' '.join(tokens[r] for r in ROLES)}, "
            f"and {source} has no {' '.join(missing)}. If it is a model's own vocabulary, the file "
            "is damaged: fetch it again; otherwise name its tokens in special_tokens_map.json."
        )
    return tuple(positions[tokens[role]] for role in ROLES)
