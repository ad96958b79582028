"""The forward pass of decoders of the Llama family (Llama, Qwen2, Qwen3), for inference only.

The same computation as transformers' own classes, which need seconds to import and, for one token, more
Python than arithmetic. Products that share their input are one product; the heads that share keys and
values are rows of one attention, so that keys and values are never copied for each head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from attrs import frozen
from torch.nn.functional import embedding, scaled_dot_product_attention, silu

from backtrail_model.host.architecture import Architecture
from backtrail_model.host.attention import Attention, attention
from backtrail_model.host.cache import KeyValues
from backtrail_model.host.fixed import FixedKeyValues
from backtrail_model.host.passing import Passing

Linear = Callable[[torch.Tensor], torch.Tensor]
Cache = KeyValues | FixedKeyValues
MakeLinear = Callable[[Sequence[str]], Linear]
"""Makes one layer of the weights with these names, one under the other, and of their biases."""


@frozen(eq=False)
class Layer:
    """The weights of one layer; `q_norm` and `k_norm` are Qwen3's."""

    before_attention: torch.Tensor
    qkv: Linear
    q_norm: torch.Tensor | None
    k_norm: torch.Tensor | None
    out: Linear
    before_mlp: torch.Tensor
    gate_up: Linear
    down: Linear


class Decoder:
    """A model of one architecture on one device."""

    ragged = True
    replayed = 0

    def __init__(
        self, config: Architecture, tensors: Mapping[str, torch.Tensor], linear: MakeLinear, head: Linear
    ) -> None:
        """`tensors` has embeddings and norms by transformers' names; raises KeyError if one is missing."""
        self.config, self.head = config, head
        self._embeddings = tensors["model.embed_tokens.weight"]
        self._norm = tensors["model.norm.weight"]
        self.layers = [_layer(f"model.layers.{number}.", tensors, linear) for number in range(config.layers)]
        self.device, self.dtype = self._norm.device, self._norm.dtype
        self._attention = attention(self.device, self.dtype, config.head_size)
        steps = torch.arange(0, config.head_size, 2, dtype=torch.float32, device=self.device)
        self._frequencies = config.rope_base ** (-steps / config.head_size)

    def empty_cache(self) -> KeyValues:
        config = self.config
        return KeyValues.empty(
            config.layers, config.kv_heads, config.head_size, dtype=self.dtype, device=self.device
        )

    def passing(self, ids: torch.Tensor, cache: Cache) -> Passing:
        """One pass over ids [rows, tokens] after what `cache` holds, which grows by them at the end.

        Yields between layers, where it can be left off for good or for a while. Returns the last layer's
        hidden states [rows, tokens, size], normed.
        """
        tokens = ids.shape[1]
        cache.reserve(tokens)
        places = self._places(cache, tokens)
        x = embedding(ids.to(self.device), self._embeddings).to(self.dtype)
        for number, layer in enumerate(self.layers):
            x = x + self._attend(self._normed(x, layer.before_attention), number, layer, cache, places)
            gate, up = layer.gate_up(self._normed(x, layer.before_mlp)).chunk(2, dim=-1)
            x = x + layer.down(silu(gate) * up)
            yield
        cache.advance(tokens)
        return self._normed(x, self._norm)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states [rows, size] → logits [rows, vocabulary] in float32."""
        return self.head(hidden)

    def _normed(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Root mean square norm (arXiv 1910.07467), its mean in float32."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(norm * norm / x.shape[-1] + self.config.eps)
        return (x * scale).to(self.dtype) * weight

    def _attend(
        self, x: torch.Tensor, number: int, layer: Layer, cache: Cache, places: Places
    ) -> torch.Tensor:
        config, (rows, tokens, _) = self.config, x.shape
        qkv = layer.qkv(x).view(rows, tokens, -1, config.head_size).transpose(1, 2)
        turned = qkv[:, : config.heads + config.kv_heads]
        if layer.q_norm is not None and layer.k_norm is not None:
            queries, keys = turned.split([config.heads, config.kv_heads], dim=1)
            turned = torch.cat([self._normed(queries, layer.q_norm), self._normed(keys, layer.k_norm)], dim=1)
        turned = rotate(turned, places.cos, places.sin)
        queries, new_keys = turned.split([config.heads, config.kv_heads], dim=1)
        keys, values = cache.write(number, new_keys, qkv[:, config.heads + config.kv_heads :])
        if (own := self._own_attention(cache)) is not None:
            return layer.out(own(queries, keys, values, cache.pads))
        grouped = queries.reshape(rows, config.kv_heads, -1, config.head_size)
        seen = scaled_dot_product_attention(grouped, keys, values, attn_mask=places.mask)
        seen = seen.view(rows, config.heads, tokens, config.head_size).transpose(1, 2)
        return layer.out(seen.reshape(rows, tokens, -1))

    def _own_attention(self, cache: Cache) -> Attention | None:
        """Our kernel, but not over fixed buffers, of which only a mask tells what is in use."""
        return self._attention if isinstance(cache, KeyValues) else None

    def _places(self, cache: Cache, tokens: int) -> Places:
        """Where the next tokens stand: their rotations, and what each may look at."""
        positions = cache.positions(tokens)
        masked = self._own_attention(cache) is None and not (tokens == 1 and cache.sees_all)
        mask = self._mask(cache, positions) if masked else None
        if cache.pads is not None:
            positions = positions - cache.pads.to(self.device)[:, None]
        angles = positions[..., None].float() * self._frequencies
        angles = torch.cat((angles, angles), dim=-1)
        if angles.dim() == 3:
            angles = angles[:, None]  # [rows, 1, tokens, size]: the same for all heads
        return Places(angles.cos().to(self.dtype), angles.sin().to(self.dtype), mask)

    def _mask(self, cache: Cache, positions: torch.Tensor) -> torch.Tensor:
        """0 where a token may look and -inf where not, [rows or 1, 1, group * tokens, positions]."""
        columns = cache.columns(len(positions))
        barred = (columns > positions[:, None])[None]
        if cache.pads is not None:
            barred = barred | (columns < cache.pads.to(self.device)[:, None, None])
        mask = torch.zeros(barred.shape, dtype=self.dtype, device=self.device).masked_fill_(
            barred, -torch.inf
        )
        return mask.repeat(1, self.config.heads // self.config.kv_heads, 1)[:, None]


@frozen(eq=False)
class Places:
    """Rotations [.., tokens, head size] of the new tokens and their mask."""

    cos: torch.Tensor
    sin: torch.Tensor
    mask: torch.Tensor | None


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding (arXiv 2104.09864) of x [rows, heads, tokens, size], halves as pairs."""
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat((-second, first), dim=-1), sin)


def _layer(at: str, tensors: Mapping[str, torch.Tensor], linear: MakeLinear) -> Layer:
    attention, mlp = f"{at}self_attn.", f"{at}mlp."
    return Layer(
        before_attention=tensors[f"{at}input_layernorm.weight"],
        qkv=linear([f"{attention}{name}_proj" for name in "qkv"]),
        q_norm=tensors.get(f"{attention}q_norm.weight"),
        k_norm=tensors.get(f"{attention}k_norm.weight"),
        out=linear([f"{attention}o_proj"]),
        before_mlp=tensors[f"{at}post_attention_layernorm.weight"],
        gate_up=linear([f"{mlp}gate_proj", f"{mlp}up_proj"]),
        down=linear([f"{mlp}down_proj"]),
    )
