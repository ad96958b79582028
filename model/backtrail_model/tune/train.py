"""QLoRA (Dettmers et al. 2023): the NF4 weights stay as they are, small matrices beside them learn.

Runs on a GPU or on the CPU, one example at a time; the same seed gives the same adapter on the same machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from attrs import field, frozen
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer

from backtrail_model.tune.examples import Example

WARM_UP = 0.1
"""The share of the steps in which the learning rate rises; then it falls as a cosine."""
LARGEST_GRADIENT = 1.0


@frozen
class Recipe:
    """How to learn. `batch` examples make one step."""

    steps: int = 60
    rank: int = 8
    alpha: int = 16
    learning_rate: float = 2e-4
    batch: int = 4
    longest: int = 1024  # tokens of one example
    seed: int = 0


@frozen
class Step:
    """`loss` is the mean over the answers' tokens of the step's examples."""

    number: int
    loss: float
    seconds: float


@frozen
class Learner:
    """A model with an adapter that can be trained."""

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    recipe: Recipe

    @classmethod
    def load(cls, folder: Path, recipe: Recipe) -> Learner:
        """The NF4 form in `folder`, with a fresh adapter on each of its linear layers."""
        torch.manual_seed(recipe.seed)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16, device_map={"": device}, trust_remote_code=False
        )
        # Recomputing activations halves the speed and saves memory that only a GPU is short of.
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=device == "cuda")
        config = LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return cls(get_peft_model(model, config).train(), tokenizer, recipe)

    def train(self, examples: Sequence[Example]) -> Iterator[Step]:
        """One step at a time; whoever drives it may stop after any."""
        recipe = self.recipe
        learning = [each for each in self.model.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=recipe.learning_rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(recipe.steps))
        began = time.perf_counter()
        for number, batch in enumerate(_batches(examples, recipe), 1):
            loss = sum(self._learn(one, len(batch)) for one in batch)
            torch.nn.utils.clip_grad_norm_(learning, LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            yield Step(number, loss, time.perf_counter() - began)

    def loss(self, examples: Sequence[Example]) -> float:
        """The mean over the examples, without learning from them; nan when there are none.

        The model stays in training mode, in which there is no dropout: bitsandbytes packs the weights of a
        model that is evaluated on a CPU for good, and no gradient passes through packed weights.
        """
        with torch.no_grad():
            losses = [self._loss(example).item() for example in examples]
        return sum(losses) / len(losses) if losses else math.nan

    def save(self, folder: Path) -> None:
        """The adapter as safetensors, with its configuration; no pickle and no weights of the base."""
        self.model.save_pretrained(folder, safe_serialization=True)

    def _learn(self, example: Example, of: int) -> float:
        """Adds the example's share to the gradients; its share of the step's loss."""
        loss = self._loss(example) / of
        loss.backward()
        return float(loss.item())

    def _loss(self, example: Example) -> Any:
        ids = torch.tensor([example.ids], device=self.model.device)
        labels = torch.tensor([example.labels], device=self.model.device)
        return self.model(input_ids=ids, labels=labels).loss


def _rate(steps: int) -> Callable[[int], float]:
    """The share of the learning rate at a step (from 0)."""
    rising = max(1, round(WARM_UP * steps))

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return share


def _batches(examples: Sequence[Example], recipe: Recipe) -> Iterator[list[Example]]:
    """Every example once before any comes again, in an order that depends on the seed only."""
    order: list[Example] = []
    random = Random(recipe.seed)  # noqa: S311 - no secret
    for _ in range(recipe.steps):
        while len(order) < recipe.batch:
            order += random.sample(list(examples), len(examples))
        batch, order = order[: recipe.batch], order[recipe.batch :]
        yield batch
