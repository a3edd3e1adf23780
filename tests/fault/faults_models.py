"""faults_models.py - models that vanish, don't fit, or take turns. The second one is a random model
of a few hundred kB: what it says means nothing, but it is loaded and asked like any other."""
import os
import shutil

from faults import fault, refused, until, well

LOADED = "edgewise_models_loaded"
TOO_LITTLE = "100M" # for SmolLM2


def complete(server, model):
    return server.post("/v1/completions", {"model": model, "prompt": "the", "max_tokens": 2})


def asked(server, model):
    reply = complete(server, model)
    assert reply.status == 200, f"{model}: {reply.status}: {reply.body[:200]}"


@fault("models", "the model's file is deleted while it serves: it goes on")
def deleted(tried):
    with tried.serve() as home: # for its folder
        copy = os.path.join(home.folder.name, "copy.gguf")
        shutil.copy(tried.model, copy)
        with tried.serve(tried.config(models=[copy])) as server:
            asked(server, "copy")
            os.unlink(copy)
            asked(server, "copy")
    return "answers go on from what is in memory"


@fault("models", "a model whose file is gone when it is to be loaded is a 503; others are served on")
def gone_before_load(tried):
    with tried.serve() as home:
        copy = os.path.join(home.folder.name, "copy.gguf")
        shutil.copy(tried.tiny, copy)
        with tried.serve(tried.config(models=[tried.model, copy])) as server:
            os.unlink(copy)
            said = refused(complete(server, "copy"), {503}, code="model_unavailable")
            well(server)
    return said.replace(home.folder.name, "…")


@fault("models", "a file that is no model is a 503 that says why; others are served on")
def no_model(tried):
    with tried.serve() as home:
        bad = os.path.join(home.folder.name, "bad.gguf")
        with open(tried.tiny, "rb") as file, open(bad, "wb") as out:
            out.write(file.read(5000))
        with tried.serve(tried.config(models=[tried.model, bad])) as server:
            said = refused(complete(server, "bad"), {503}, code="model_unavailable")
            well(server)
    return said.replace(home.folder.name, "…")


@fault("models", "a model too large for the memory is a 503 with the sum; others are served on")
def too_large(tried):
    text = tried.config(device=f"    memory: {TOO_LITTLE}\n", models=[tried.tiny, tried.model])
    with tried.serve(text) as server:
        name = os.path.basename(tried.model).removesuffix(".gguf")
        said = refused(complete(server, name), {503}, code="model_too_large")
        assert "weights" in said and "105 MB are allowed" in said, said
        asked(server, "tiny")
    return said


@fault("models", "models that don't fit together take turns, and every request is answered")
def turns(tried):
    with tried.serve() as home:
        second = os.path.join(home.folder.name, "second.gguf")
        os.symlink(tried.model, second)
        text = tried.config(device="    memory: 250M\n", models=[tried.model, second])
        with tried.serve(text) as server:
            for _ in range(2):
                asked(server, server.model)
                asked(server, "second")
            loads = sum(value for key, value in server.metrics().items()
                        if key.startswith("edgewise_model_loads_total") and "loaded" in key)
            assert loads == 4, f"{loads} loads: both were in memory at once"
            assert server.gauge(LOADED) == 1
    return "4 answers, 4 loads, one model in memory at a time"


@fault("models", "a model that nobody asks for is unloaded, and loaded again when asked for")
def unloaded(tried):
    text = tried.config(device="    idle_unload: 1s\n", models=[tried.model, tried.tiny])
    with tried.serve(text) as server:
        asked(server, "tiny")
        server.until_said("tiny is loaded")
        server.until_said("tiny is unloaded")
        until("one model in memory", lambda: server.gauge(LOADED) == 1)
        asked(server, "tiny")
        well(server)
    return "unloaded after a second, loaded again"
