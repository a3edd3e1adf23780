#!/usr/bin/env python3
"""llama_logits.py - llama.cpp's logits, to be judged beside ours.

    llama_logits.py SOURCE MODEL [--threads N] [--ctx N] [--from I] < IDS > FLOATS

SOURCE is an unpacked llama-cpp-python source package whose vendor/llama.cpp has been built with
shared libraries (in vendor/llama.cpp/build/bin). Same contract as tests/reference/logits_driver.c:
a line of token ids is a sequence; out come the logits after its tokens from index I on, as floats.
Everything else is llama.cpp's default: half-float cache, flash attention and repacking as it
chooses."""
import argparse
import importlib
import os
import sys
import types

import numpy as np


def bindings(source):
    """Only the module of C declarations: the rest of the package wants more packages."""
    os.environ["LLAMA_CPP_LIB_PATH"] = os.path.join(source, "vendor/llama.cpp/build/bin")
    package = types.ModuleType("llama_cpp")
    package.__path__ = [os.path.join(source, "llama_cpp")]
    sys.modules["llama_cpp"] = package
    return importlib.import_module("llama_cpp.llama_cpp")


def open_model(llama, path, ctx, threads):
    llama.quiet = llama.llama_log_callback(lambda *ignored: None) # kept: C calls it later
    llama.llama_log_set(llama.quiet, None)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    params = llama.llama_context_default_params()
    params.n_ctx = params.n_batch = ctx
    params.n_ubatch = min(ctx, 512)
    params.n_threads = params.n_threads_batch = threads
    context = model and llama.llama_init_from_model(model, params)
    if not context:
        sys.exit(f"llama_logits: {path} can't be opened")
    return context, llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))


def score(llama, context, vocab, tokens, first, out):
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    batch = llama.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i] = token, i
        batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        batch.logits[i] = i >= first
    if llama.llama_decode(context, batch):
        sys.exit("llama_logits: llama_decode failed")
    for i in range(first, len(tokens)):
        row = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, i), (vocab,))
        out.write(row.tobytes())
    llama.llama_batch_free(batch)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("source")
    args.add_argument("model")
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--ctx", type=int, default=512)
    args.add_argument("--from", type=int, default=0, dest="first")
    args = args.parse_args()
    llama = bindings(args.source)
    context, vocab = open_model(llama, args.model, args.ctx, args.threads)
    for line in sys.stdin:
        tokens = [int(t) for t in line.split()]
        if tokens:
            score(llama, context, vocab, tokens, args.first, sys.stdout.buffer)


main()
