/* cmd_serve.c - `edgewise serve`: this device as a server, until a signal ends it. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/serve_check.h"
#include "cmd/serve_options.h"
#include "serve/notify.h"
#include "serve/server.h"

static int print_schema(struct ew_err *err)
{
    struct ew_buf text;
    ew_buf_init(&text, EW_CONFIG_BYTES_MAX);
    int rc = ew_config_schema(&text, err);
    if (!rc)
        fputs(ew_buf_cstr(&text), stdout);
    ew_buf_fini(&text);
    return rc;
}

/* Keys that travel in the clear are half a lock. */
static void warn(const struct ew_config *config)
{
    int port;
    bool is_public = false;
    if (ew_config_address(config->listen, NULL, 0, &port, &is_public, NULL) || !is_public)
        return;
    if (!config->client_count)
        ew_log(EW_LOG_WARNING, "%s is open to whoever reaches it: no keys", config->listen);
    else if (!config->tls_certificate)
        ew_log(EW_LOG_WARNING,
               "keys travel unencrypted to %s: without tls, whoever listens on "
               "the way has them",
               config->listen);
}

static int serve(struct ew_serve_options *o, struct ew_err *err)
{
    struct ew_config *config = NULL;
    int rc = ew_serve_options_config(o, &config, err);
    if (rc)
        return rc;
    if (o->check || o->new_token) {
        rc = o->check ? ew_serve_check(config, err) : ew_serve_new_token(config, o->new_token, err);
        ew_config_close(&config);
        return rc;
    }
    warn(config);
    struct ew_server_params params = {.reload = config->file ? ew_serve_options_config : NULL,
                                      .config = config,
                                      .user = o,
                                      .isa = o->engine.isa,
                                      .join = o->join,
                                      .join_token =
                                          o->token ? o->token : getenv("EDGEWISE_JOIN_TOKEN"),
                                      .join_name = o->name,
                                      .join_ca = o->join_ca,
                                      .listen_fd = ew_notify_listen_fd()};
    return ew_server_run(&params, err);
}

int ew_cmd_serve(int argc, char **argv)
{
    struct ew_serve_options o = ew_serve_options_default();
    const struct ew_opt options[] = {EW_SERVE_OPTIONS(&o), {0}};
    struct ew_args args = {
        .command = "serve",
        .words_usage = "[MODEL…]",
        .words_max = EW_CONFIG_MODELS_MAX,
        .about =
            "Serves models over HTTP: OpenAI's API (/v1/chat/completions, /v1/completions,\n"
            "/v1/models) and Ollama's (/api/chat, /api/generate, …), streaming and not, for\n"
            "many clients at once. Listens on loopback unless told otherwise. SIGTERM ends it\n"
            "when what runs is answered; SIGHUP, or a change of the file, makes it read the\n"
            "file again. Without MODEL and --config, edgewise.yaml in $XDG_CONFIG_HOME/edgewise\n"
            "says what is served. With a file that names other devices and clouds it is a front:\n"
            "each request is answered by one of them, by policy, and the ledger says why.",
        .options = options,
        .examples = "  edgewise serve smollm2-135m\n"
                    "  edgewise serve smollm2-135m qwen2.5-coder-0.5b --port 9000 --profile n150\n"
                    "  edgewise serve --config edgewise.yaml --check\n"
                    "  edgewise serve --new-key kiosk\n"
                    "  edgewise serve --config front.yaml --new-token pi\n"
                    "  edgewise serve smollm2-135m --join https://front:8443 --token ewj1.pi.…\n",
    };
    int status;
    if (ew_args_read(&args, argc, argv, &status))
        return status;
    o.models = args.words;
    o.model_count = (unsigned)args.word_count;
    ew_log_open((enum ew_log_level)o.log_level, (enum ew_log_form)o.log_form);
    struct ew_err err = {0};
    int failed = o.schema    ? print_schema(&err)
                 : o.new_key ? ew_serve_new_key(o.new_key, &err)
                             : serve(&o, &err);
    return failed ? ew_engine_failed("serve", &err) : 0;
}
