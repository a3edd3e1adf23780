"""forward.py - what a model's logits are: a forward pass in plain numpy, for six architectures.

Written to be read beside the papers and to share nothing with the engine: no tiles, no cache, no
chunks; all positions at once, in float64 unless asked otherwise. Two roundings of the engine can be
switched on, because they are part of its contract and would otherwise hide a real error behind a
wide tolerance: K and V kept as half floats, and inputs of quantised matrices rounded to 8 bits in
blocks of 32.

llama: pairs (2i, 2i + 1) are rotated; all others rotate (i, i + half). gemma2 and gemma3: embedding
times sqrt(dim), norms after attention and feed-forward too, gelu, a sliding window on all layers
but each 2nd or 6th. qwen3 and gemma3: q and k are normalised by head. phi3: q, k, v in one matrix,
gate and up in another."""
import numpy as np

WINDOW_PATTERN = {"gemma2": 2, "gemma3": 6}
GEMMA2 = {"attention.sliding_window": 4096, "attn_logit_softcapping": 50.0,
          "final_logit_softcapping": 30.0} # where the file doesn't say (arXiv:2408.00118, table 1)
LOCAL_ROPE_BASE = 10000.0 # of gemma3's window layers where the file doesn't say (paper, 2.1)
YARN_FAST, YARN_SLOW = 32.0, 1.0 # rotations over the original context (YaRN, arXiv:2309.00071)


def half(x):
    return np.clip(x, -65504, 65504).astype(np.float16).astype(x.dtype)


def q8(x):
    """Rounded as the engine rounds the inputs of a quantised matrix."""
    blocks = x.astype(np.float32).reshape(*x.shape[:-1], -1, 32)
    d = np.abs(blocks).max(-1, keepdims=True) / np.float32(127)
    q = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d > 0))
    return (q * d).reshape(x.shape).astype(x.dtype)


class Model:
    def __init__(self, gguf, ctx, dtype=np.float64, kv_half=False, inputs_q8=False):
        self.gguf, self.dtype, self.kv_half, self.inputs_q8 = gguf, dtype, kv_half, inputs_q8
        self.cache = {}
        self.arch = gguf.kv["general.architecture"]
        self.layers, self.dim = self.key("block_count"), self.key("embedding_length")
        self.heads = self.key("attention.head_count")
        self.kv_heads = self.key("attention.head_count_kv", self.heads)
        self.head_dim = self.key("attention.key_length", self.dim // self.heads)
        self.eps = self.key("attention.layer_norm_rms_epsilon")
        self.gemma = self.arch in WINDOW_PATTERN
        self.window = self.key("attention.sliding_window", 0) if self.gemma else 0
        self.rope_tables = self.plan_rope(ctx)

    def key(self, name, default=None):
        if self.arch == "gemma2":
            default = GEMMA2.get(name, default)
        value = self.gguf.kv.get(f"{self.arch}.{name}", default)
        if value is None:
            raise KeyError(f"{self.arch}.{name}")
        return value

    def tensor(self, name, default=None):
        if name not in self.gguf:
            return default
        if name not in self.cache:
            self.cache[name] = self.gguf[name].astype(self.dtype)
        return self.cache[name]

    # ---- rotary positions ----

    def plan_rope(self, ctx):
        """(frequencies, magnitude) of global and of window layers."""
        n = self.key("rope.dimension_count", self.head_dim)
        base = self.key("rope.freq_base", 10000.0)
        factor = self.key("rope.scaling.factor", 0.0) or 1.0
        kind = self.key("rope.scaling.type", "linear")
        trained = self.key("rope.scaling.original_context_length", self.key("context_length"))
        magnitude = self.key("rope.scaling.attn_factor", 1.0)
        plain = lambda b: b ** (-np.arange(0, n, 2, dtype=np.float64) / n)
        own = self.tensor("rope_freqs.weight")
        if own is None:
            length = "long" if ctx > trained else "short"
            own = self.tensor(f"rope_factors_{length}.weight")
        freqs = plain(base) / (1 if own is None else own.astype(np.float64))
        if kind == "linear":
            freqs = freqs / factor
        elif kind == "yarn":
            # Dimensions that turn often keep their frequency, slow ones are stretched.
            turns = lambda t: n * np.log(trained / (t * 2 * np.pi)) / (2 * np.log(base))
            low, high = max(0, np.floor(turns(YARN_FAST))), min(n - 1, np.ceil(turns(YARN_SLOW)))
            keep = 1 - np.clip((np.arange(n // 2) - low) / max(0.001, high - low), 0, 1)
            freqs = freqs / factor * (1 - keep) + freqs * keep
            magnitude *= 1 + 0.1 * np.log(factor)
        local = freqs
        if self.arch == "gemma3": # the window layers have their own base and no scaling
            local = plain(self.key("rope.freq_base_swa", LOCAL_ROPE_BASE))
        return {False: (freqs, magnitude), True: (local, magnitude)}

    def rope(self, x, local):
        """x: positions, heads, head_dim"""
        freqs, magnitude = self.rope_tables[local]
        angle = np.arange(len(x))[:, None, None] * freqs
        c = (np.cos(angle) * magnitude).astype(self.dtype)
        s = (np.sin(angle) * magnitude).astype(self.dtype)
        h, out = len(freqs), x.copy()
        first, second = slice(0, h), slice(h, 2 * h)
        if self.arch == "llama":
            first, second = slice(0, 2 * h, 2), slice(1, 2 * h, 2)
        a, b = x[..., first], x[..., second]
        out[..., first], out[..., second] = a * c - b * s, a * s + b * c
        return out

    # ---- layers ----

    def norm(self, x, name):
        scale = np.sqrt((x * x).mean(-1, keepdims=True) + self.dtype(self.eps))
        return x / scale * self.tensor(name)

    def linear(self, x, name):
        if self.inputs_q8 and self.gguf.is_quantized(name + ".weight"):
            x = q8(x)
        return x @ self.tensor(name + ".weight").T + self.tensor(name + ".bias", self.dtype(0))

    def is_local(self, layer):
        if self.window == 0:
            return False
        pattern = self.key("attention.sliding_window_pattern", WINDOW_PATTERN[self.arch])
        if isinstance(pattern, list):
            return bool(pattern[layer])
        return layer % pattern < pattern - 1

    def attend(self, q, k, v, local):
        i, j = np.arange(len(q))[:, None], np.arange(len(q))
        seen = (j <= i) & (i - j < self.window) if local else j <= i
        cap = self.key("attn_logit_softcapping", 0.0) if self.arch == "gemma2" else 0
        out = np.empty_like(q)
        for h in range(self.heads):
            g = h * self.kv_heads // self.heads
            s = q[:, h] @ k[:, g].T / self.dtype(np.sqrt(self.head_dim))
            if cap:
                s = cap * np.tanh(s / cap)
            s = np.exp(np.where(seen, s, -np.inf) - np.where(seen, s, -np.inf).max(1)[:, None])
            out[:, h] = s / s.sum(1)[:, None] @ v[:, g]
        return out.reshape(len(q), -1)

    def attention(self, x, layer):
        p = f"blk.{layer}.attn_"
        n, local = len(x), self.is_local(layer)
        if p + "qkv.weight" in self.gguf:
            qkv = self.linear(x, p + "qkv").reshape(n, -1, self.head_dim)
            q, k, v = np.split(qkv, [self.heads, self.heads + self.kv_heads], axis=1)
        else:
            q, k, v = (self.linear(x, p + c).reshape(n, -1, self.head_dim) for c in "qkv")
        if p + "q_norm.weight" in self.gguf:
            q, k = self.norm(q, p + "q_norm.weight"), self.norm(k, p + "k_norm.weight")
        q, k = self.rope(q, local), self.rope(k, local)
        if self.kv_half:
            k, v = half(k), half(v)
        return self.linear(self.attend(q, k, v, local), p + "output")

    def feed_forward(self, x, layer):
        p = f"blk.{layer}.ffn_"
        if p + "gate.weight" in self.gguf:
            gate, up = self.linear(x, p + "gate"), self.linear(x, p + "up")
        else:
            gate, up = np.split(self.linear(x, p + "up"), 2, axis=-1)
        if self.gemma: # tanh form
            act = gate / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate ** 3)))
        else:
            act = gate / (1 + np.exp(-gate))
        return self.linear((act * up).astype(self.dtype), p + "down")

    def hidden(self, tokens):
        """What the vocabulary head sees, for each position."""
        x = self.tensor("token_embd.weight")[np.asarray(tokens)]
        if self.gemma:
            x = x * self.dtype(np.sqrt(self.dim))
        for i in range(self.layers):
            a = self.attention(self.norm(x, f"blk.{i}.attn_norm.weight"), i)
            if self.gemma:
                a = self.norm(a, f"blk.{i}.post_attention_norm.weight")
            x = x + a
            f = self.feed_forward(self.norm(x, f"blk.{i}.ffn_norm.weight"), i)
            if self.gemma:
                f = self.norm(f, f"blk.{i}.post_ffw_norm.weight")
            x = x + f
        return self.norm(x, "output_norm.weight")

    def head(self, hidden):
        name = "output" if "output.weight" in self.gguf else "token_embd"
        z = self.linear(hidden, name)
        cap = self.key("final_logit_softcapping", 0.0) if self.gemma else 0
        return cap * np.tanh(z / cap) if cap else z

    def logits(self, tokens):
        return self.head(self.hidden(tokens))
