"""models.py - tiny random models, one for each thing that an architecture can do differently.

Weights are drawn so that nothing hides: attention is far from uniform, every norm weight and bias
differs, logits spread over several units. The same name always gives the same file."""
import zlib

import numpy as np

import tinygguf

WORDS = [" the", "the", " a", "ing", "er", " of", "in", "an", "on", " to"]


def bpe_vocabulary():
    """Byte-level BPE: 256 bytes in GPT-2's alphabet, a few merges, specials."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    letter = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
    tokens, merges = [letter[b] for b in range(256)], []
    for word in WORDS:
        parts = [letter[b] for b in word.encode()]
        while len(parts) > 1:
            merge, joined = f"{parts[0]} {parts[1]}", parts[0] + parts[1]
            if joined not in tokens:
                tokens.append(joined)
                merges.append(merge)
            parts[:2] = [joined]
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    end = len(tokens)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens + specials,
        "tokenizer.ggml.token_type": [1] * end + [3] * len(specials),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": end,
        "tokenizer.ggml.eos_token_id": end + 2,
        "tokenizer.ggml.add_bos_token": False,
    }


def spm_vocabulary():
    """SentencePiece: control tokens, 256 bytes, letters and a few words with scores."""
    control = ["<unk>", "<s>", "</s>"]
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    pieces = ["\u2581", *"abcdefghijklmnopqrstuvwxyz", *(w.replace(" ", "\u2581") for w in WORDS)]
    tokens = control + bytes_ + pieces
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * 259 + [-float(i) for i in range(len(pieces))],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(pieces),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
    }


# What a model is unless its row says otherwise. "kv" adds keys of the architecture, "type" is that
# of all matrices; ctx is what the session is opened for, n the tokens scored.
DEFAULTS = dict(layers=2, dim=64, heads=4, kv_heads=2, head_dim=None, ff=96, type="F32",
                vocabulary=bpe_vocabulary, tied=True, bias="", ctx=128, n=70, base=10000.0,
                trained=512, kv={}, factors={})

# Turns of the frequencies by dimension: from unscaled to slowed by 8, as Llama 3 does.
LLAMA3 = [1.0] * 4 + [1.0 + i * i / 7 for i in range(8)] + [8.0] * 4
SHORT = [1.0 + 0.03 * i for i in range(16)]
LONG = [1.0 + 0.5 * i * i for i in range(16)]
YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": 48}
CAPS = {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0}

MODELS = {
    "llama": dict(arch="llama"),
    "llama-untied-mha-spm": dict(arch="llama", tied=False, kv_heads=4, vocabulary=spm_vocabulary),
    "llama-large-epsilon": dict(arch="llama", kv={"attention.layer_norm_rms_epsilon": 0.05}),
    "llama-three-heads-to-one": dict(arch="llama", dim=96, heads=3, kv_heads=1, layers=3),
    "llama-f16": dict(arch="llama", type="F16"),
    "llama-bf16": dict(arch="llama", type="BF16", tied=False),
    "llama-wide-heads": dict(arch="llama", head_dim=32),
    "llama-qkv-biases": dict(arch="llama", bias="qkv"),
    "llama-all-biases": dict(arch="llama", bias="qkvo"),
    "llama-longer-than-a-chunk": dict(arch="llama", n=600, ctx=1024, trained=1024),
    "llama-linear": dict(arch="llama", kv={"rope.scaling.type": "linear",
                                           "rope.scaling.factor": 4.0}),
    "llama-scaling-none": dict(arch="llama", kv={"rope.scaling.type": "none",
                                                 "rope.scaling.factor": 4.0}),
    "llama-yarn": dict(arch="llama", head_dim=32, kv=YARN),
    "llama3-factors": dict(arch="llama", head_dim=32, base=500000.0,
                           factors={"rope_freqs": LLAMA3}),
    "qwen2": dict(arch="qwen2", bias="qkv", base=1000000.0),
    "qwen2-untied": dict(arch="qwen2", bias="qkv", tied=False),
    "qwen2-yarn": dict(arch="qwen2", bias="qkv", kv=YARN),
    "qwen3": dict(arch="qwen3", head_dim=32, base=1000000.0,
                  kv={"attention.layer_norm_rms_epsilon": 0.05}),
    "qwen3-untied": dict(arch="qwen3", head_dim=32, tied=False, kv_heads=4),
    "gemma2": dict(arch="gemma2", layers=4, head_dim=32, vocabulary=spm_vocabulary,
                   kv=CAPS | {"attention.sliding_window": 8}),
    "gemma2-by-default": dict(arch="gemma2", dim=128, vocabulary=spm_vocabulary),
    "gemma3": dict(arch="gemma3", layers=7, head_dim=32, heads=4, kv_heads=1, base=1000000.0,
                   vocabulary=spm_vocabulary, kv={"attention.sliding_window": 8}),
    "gemma3-linear": dict(arch="gemma3", layers=6, head_dim=32, base=1000000.0,
                          vocabulary=spm_vocabulary,
                          kv={"attention.sliding_window": 40, "rope.scaling.type": "linear",
                              "rope.scaling.factor": 8.0}),
    "gemma3-pattern": dict(arch="gemma3", layers=4, head_dim=32, vocabulary=spm_vocabulary,
                           kv={"attention.sliding_window": 8,
                               "attention.sliding_window_pattern": 3,
                               "rope.freq_base_swa": 500.0}),
    "gemma3-pattern-by-layer": dict(arch="gemma3", layers=7, head_dim=32,
                                    vocabulary=spm_vocabulary,
                                    kv={"attention.sliding_window": 8,
                                        "attention.sliding_window_pattern":
                                            [True] * 5 + [False, True]}),
    "gemma3-longer-than-a-chunk": dict(arch="gemma3", layers=6, head_dim=16, n=600, ctx=1024,
                                       vocabulary=spm_vocabulary, trained=1024,
                                       kv={"attention.sliding_window": 100}),
    "gemma3-no-window": dict(arch="gemma3", head_dim=32, vocabulary=spm_vocabulary),
    "phi3": dict(arch="phi3", tied=False, vocabulary=spm_vocabulary),
    "phi3-wide-heads": dict(arch="phi3", dim=192, heads=2, kv_heads=2, vocabulary=spm_vocabulary),
    "phi3-short": dict(arch="phi3", dim=128, vocabulary=spm_vocabulary,
                       factors={"rope_factors_short": SHORT, "rope_factors_long": LONG},
                       kv={"rope.scaling.original_context_length": 256,
                           "rope.scaling.attn_factor": 1.19}),
    "phi3-long": dict(arch="phi3", dim=128, vocabulary=spm_vocabulary, ctx=256,
                      factors={"rope_factors_short": SHORT, "rope_factors_long": LONG},
                      kv={"rope.scaling.original_context_length": 128,
                          "rope.scaling.attn_factor": 1.19}),
    "phi3-biases": dict(arch="phi3", bias="qkv"),
    "phi3-partial": dict(arch="phi3", dim=128, kv={"rope.dimension_count": 24}),
}
# Quantised matrices: the inputs of the engine's are quantised too, in blocks of 32.
for _type in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"):
    MODELS[f"llama-{_type}".lower()] = dict(arch="llama", type=_type, dim=256, ff=512, head_dim=32,
                                            heads=8, kv_heads=2, tied=_type != "Q4_K")
MODELS["gemma3-q4_k"] = dict(arch="gemma3", type="Q4_K", dim=256, ff=512, head_dim=64, layers=6,
                             vocabulary=spm_vocabulary, kv={"attention.sliding_window": 8})
MODELS["phi3-q8_0"] = dict(arch="phi3", type="Q8_0", dim=256, ff=512, tied=False,
                           vocabulary=spm_vocabulary)


class Builder:
    def __init__(self, name):
        row = DEFAULTS | MODELS[name]
        self.__dict__.update(row)
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.head_dim = row["head_dim"] or self.dim // self.heads
        self.tensors = []
        self.words = self.vocabulary()
        self.vocab = len(self.words["tokenizer.ggml.tokens"])

    def keys(self):
        own = {
            "context_length": self.trained, "embedding_length": self.dim,
            "block_count": self.layers, "feed_forward_length": self.ff,
            "attention.head_count": self.heads, "attention.head_count_kv": self.kv_heads,
            "attention.key_length": self.head_dim, "attention.value_length": self.head_dim,
            "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": self.base,
            "rope.dimension_count": self.head_dim,
        }
        head = {"general.architecture": self.arch, "general.name": "tiny"}
        return head | {f"{self.arch}.{k}": v for k, v in (own | self.kv).items()} | self.words

    def matrix(self, name, rows, cols, gain=1.0):
        """Standard deviation of outputs for inputs of 1: gain."""
        if tinygguf.TYPES[tinygguf.IDS[self.type]][1] == 1:
            array = self.rng.normal(0, gain / np.sqrt(cols), (rows, cols)).astype(np.float32)
            raw = tinygguf.encode(array, self.type)
        else:
            raw = self.blocks(rows, cols, gain / np.sqrt(cols))
        self.tensors.append((name, self.type, (rows, cols), raw))

    def blocks(self, rows, cols, deviation):
        """Random bits with scales that make the weights' deviation about what is asked."""
        kind = tinygguf.IDS[self.type]
        _, weights, size, _ = tinygguf.TYPES[kind]
        n = rows * cols // weights
        raw = self.rng.integers(0, 256, (n, size), dtype=np.uint8)
        # (where, factor on the largest weight): d and, if there is one, the minimum or offset,
        # chosen so that weights are centred.
        halves = {"Q8_0": [(0, 1 / 74)], "Q4_0": [(0, 1 / 4.6)], "Q5_0": [(0, 1 / 9.2)],
                  "Q4_1": [(0, 1 / 4.6), (2, -7.5 / 4.6)],
                  "Q5_1": [(0, 1 / 9.2), (2, -15.5 / 9.2)],
                  "Q4_K": [(0, 1 / 210), (2, 7.5 / 210)], "Q5_K": [(0, 1 / 420), (2, 15.5 / 420)],
                  "Q6_K": [(208, 1 / 1370)]}[self.type]
        spread = self.rng.uniform(0.7, 1.3, n)
        for at, factor in halves:
            half = (spread * factor * deviation).astype("<f2")
            raw[:, at:at + 2] = half.view(np.uint8).reshape(n, 2)
        return raw.tobytes()

    def vector(self, name, n, mean, deviation):
        array = self.rng.normal(mean, deviation, n)
        self.tensors.append((name, "F32", (n,), tinygguf.encode(array, "F32")))

    def attention(self, p):
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        if self.arch == "phi3":
            self.matrix(p + "attn_qkv.weight", q + 2 * kv, self.dim, 1.5)
            if self.bias:
                self.vector(p + "attn_qkv.bias", q + 2 * kv, 0, 0.5)
        else:
            for c, rows, gain in (("q", q, 1.7), ("k", kv, 1.7), ("v", kv, 1)):
                self.matrix(p + f"attn_{c}.weight", rows, self.dim, gain)
                if c in self.bias:
                    self.vector(p + f"attn_{c}.bias", rows, 0, 0.5)
        if self.arch in ("qwen3", "gemma3"):
            self.vector(p + "attn_q_norm.weight", self.head_dim, 1.3, 0.3)
            self.vector(p + "attn_k_norm.weight", self.head_dim, 1.3, 0.3)
        self.matrix(p + "attn_output.weight", self.dim, q)
        if "o" in self.bias:
            self.vector(p + "attn_output.bias", self.dim, 0, 0.5)

    def layer(self, p):
        self.vector(p + "attn_norm.weight", self.dim, 1, 0.2)
        self.attention(p)
        self.vector(p + "ffn_norm.weight", self.dim, 1, 0.2)
        if self.arch == "phi3":
            self.matrix(p + "ffn_up.weight", 2 * self.ff, self.dim, 1.5)
        else:
            self.matrix(p + "ffn_gate.weight", self.ff, self.dim, 1.5)
            self.matrix(p + "ffn_up.weight", self.ff, self.dim, 1.5)
        self.matrix(p + "ffn_down.weight", self.dim, self.ff)
        if self.arch in ("gemma2", "gemma3"):
            self.vector(p + "post_attention_norm.weight", self.dim, 0.7, 0.2)
            self.vector(p + "post_ffw_norm.weight", self.dim, 0.7, 0.2)

    def write(self, path):
        small = np.sqrt(self.dim) if self.arch not in ("gemma2", "gemma3") else 1.0
        self.matrix("token_embd.weight", self.vocab, self.dim, small)
        for i in range(self.layers):
            self.layer(f"blk.{i}.")
        self.vector("output_norm.weight", self.dim, 1, 0.2)
        if not self.tied:
            self.matrix("output.weight", self.vocab, self.dim, 3)
        half = self.kv.get("rope.dimension_count", self.head_dim) // 2
        for name, values in self.factors.items():
            raw = tinygguf.encode(np.array(values[:half]), "F32")
            self.tensors.append((f"{name}.weight", "F32", (half,), raw))
        tinygguf.write(path, self.keys(), self.tensors)

    def sequence(self):
        return [int(t) for t in self.rng.integers(0, self.vocab, self.n)]
