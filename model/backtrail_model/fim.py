"""Fill-in-the-middle prompts of model families, for servers that do not know `suffix`."""

from __future__ import annotations

from attrs import frozen


@frozen
class FimFormat:
    """The family's own tokens: `before` prefix `between` suffix `after`."""

    before: str
    between: str
    after: str
    stop: tuple[str, ...] = ()

    def prompt(self, prefix: str, suffix: str) -> str:
        return f"{self.before}{prefix}{self.between}{suffix}{self.after}"


QWEN = FimFormat(
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    ("<|fim_pad|>", "<|endoftext|>", "<|file_sep|>", "<|repo_name|>"),
)
STARCODER = FimFormat("<fim_prefix>", "<fim_suffix>", "<fim_middle>", ("<|endoftext|>", "<file_sep>"))
DEEPSEEK = FimFormat("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", ("<｜end▁of▁sentence｜>",))

FAMILIES: tuple[tuple[str, FimFormat], ...] = (
    ("qwen2.5-coder", QWEN),
    ("qwen3-coder", QWEN),
    ("codegemma", QWEN),
    ("starcoder", STARCODER),
    ("deepseek-coder", DEEPSEEK),
)


def format_of(model: str) -> FimFormat | None:
    """The tokens of the family that a model's name belongs to, or None when it is not known."""
    plain = model.lower().replace("_", "-")
    return next((form for family, form in FAMILIES if family in plain), None)
