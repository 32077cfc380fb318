"""The command-line programs; installed as keras_bert_suite.bin, imported by nothing."""
