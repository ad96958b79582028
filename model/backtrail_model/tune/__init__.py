"""QLoRA: a small model learns from fixes that were verified, a person's own or those of a data set."""
