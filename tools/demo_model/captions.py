"""The text encoder in training: ComfyUI's CLIP tokenizer and text model, on the tokens of the sentences."""

from __future__ import annotations

import comfy.clip_model
import comfy.ops
import comfy.sd1_clip
import numpy as np
import torch
from torch import nn

from midrun.nodes.comfyui.demo_loading import TEXT

from .draw import Scene, random_scene, sentence

CONFIG = {"hidden_act": "quick_gelu", "eos_token_id": 49407, "max_position_embeddings": 77} | TEXT
UNKNOWN = 0  # the row of every token that no sentence has
FORGOTTEN = 0.02  # how often a token is taken for an unknown one, so that unknown ones do little harm


class Layer(comfy.clip_model.CLIPLayer):
    """ComfyUI's layer adds in place, which cannot be differentiated."""

    def forward(self, x, mask=None, optimized_attention=None):
        x = x + self.self_attn(self.layer_norm1(x), mask, optimized_attention)
        return x + self.mlp(self.layer_norm2(x))


class Text(nn.Module):
    """Tokens to conditioning. `tokens` are the CLIP tokens of rows 1 to N of its embedding."""

    def __init__(self, tokens: list[int]) -> None:
        super().__init__()
        self.tokens = tokens
        operations = comfy.ops.disable_weight_init
        self.transformer = comfy.clip_model.CLIPTextModel(CONFIG, torch.float32, None, operations)
        self.transformer.set_input_embeddings(operations.Embedding(1 + len(tokens), TEXT["hidden_size"]))
        for layer in self.transformer.text_model.encoder.layers:
            layer.__class__ = Layer

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """[B, 77] rows of the embedding to [B, 77, C]."""
        embeds = self.transformer.get_input_embeddings()(rows)
        pooled = [1] * len(rows)  # nobody asks for it
        return self.transformer.text_model(embeds=embeds, num_tokens=pooled)[0]

    def weights(self) -> dict[str, torch.Tensor]:
        """As nodes/comfyui/demo_loading.py reads them."""
        kept = dict(self.transformer.state_dict())
        rows = kept.pop("text_model.embeddings.token_embedding.weight")
        kept.pop("text_projection.weight", None)
        return kept | {"rows": rows, "tokens": torch.tensor(self.tokens, dtype=torch.int32)}


class Captions:
    """Sentences as rows of Text's embedding."""

    def __init__(self) -> None:
        self.tokenizer = comfy.sd1_clip.SD1Tokenizer()
        rng = np.random.default_rng(0)
        told = {sentence(random_scene(rng), rng) for _ in range(20000)}
        self.tokens = sorted({token for text in ("", *told) for token in self._tokens(text)})
        self.row = {token: 1 + at for at, token in enumerate(self.tokens)}
        self.known: dict[str, np.ndarray] = {}

    def _tokens(self, text: str) -> list[int]:
        return [token for token, _ in self.tokenizer.tokenize_with_weights(text)["l"][0]]

    def rows(self, text: str) -> np.ndarray:
        """[77]."""
        if text not in self.known:
            self.known[text] = np.array([self.row.get(token, UNKNOWN) for token in self._tokens(text)])
        return self.known[text]

    def batch(self, scenes: list[Scene], rng: np.random.Generator, dropped: float) -> torch.Tensor:
        """[B, 77]: a sentence for each scene, or none with the probability `dropped`."""
        texts = ["" if rng.random() < dropped else sentence(scene, rng) for scene in scenes]
        rows = np.stack([self.rows(text) for text in texts])
        word = (rows != self.row[49406]) & (rows != self.row[49407])
        rows = np.where(word & (rng.random(rows.shape) < FORGOTTEN), UNKNOWN, rows)
        return torch.from_numpy(rows)
