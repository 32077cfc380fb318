"""Settings of published pre-training runs: `bin/pretrain.py --config=recipes/bert.json`."""
