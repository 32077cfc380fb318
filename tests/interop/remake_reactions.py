"""Makes the file of reactions that the rxnfp classifier's reference was computed from.

    python remake_reactions.py raw_test.csv test1000.tsv

Needs rdkit, and the USPTO-50k test split with atom maps (Lowe's extraction, CC0): raw_test.csv of
github.com/uta-smile/RetroComposer at commit 1ec3701a6e91, data/USPTO50K/. The first 1000 reactions
are written without atom maps, each molecule in RDKit's canonical form, the molecules of each part
sorted, as "class<TAB>reaction". The test compares the file's checksum.
"""

from __future__ import annotations

import csv
import itertools
import pathlib
import sys

from rdkit import Chem

_ROWS = 1000


def _molecule(smiles: str) -> str:
    molecule = Chem.MolFromSmiles(smiles)
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    return Chem.MolToSmiles(molecule)


def _reaction(smiles: str) -> str:
    """Reactants, reagents and product, joined by ">"."""
    parts = ([part for part in side.split(".") if part] for side in smiles.split(">"))
    return ">".join(".".join(sorted(map(_molecule, part))) for part in parts)


def main(source: str, target: str) -> None:
    with open(source, encoding="utf-8", newline="") as file:
        table = itertools.islice(csv.DictReader(file), _ROWS)
        rows = [(row["class"], _reaction(row["reactants>reagents>production"])) for row in table]
    lines = ["class\treaction_smiles", *("\t".join(row) for row in rows)]
    pathlib.Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
