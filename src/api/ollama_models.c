/* ollama_models.c - /api/tags, /api/ps, /api/show and /api/version.
 *
 * A digest that isn't known is all zeros: Ollama's own client shows the first twelve characters,
 * and crashes where there are fewer. By the version, clients judge whether the server can do what
 * they need; so it is that of the Ollama whose API we answer, and ours stands beside it. */
#include "api/ollama_int.h"

#include <stdio.h>
#include <string.h>

#define API_VERSION    "0.12.11" /* log probabilities are the newest that is answered here */
#define UNKNOWN_DIGEST "0000000000000000000000000000000000000000000000000000000000000000"
#define NEVER          "9999-12-31T23:59:59Z"

/* "134.52M", as Ollama rounds; "" where it isn't known. */
static void name_count(char out[16], uint64_t count)
{
    if (count >= 1000000000)
        snprintf(out, 16, "%.1fB", (double)count / 1e9);
    else if (count >= 1000000)
        snprintf(out, 16, "%.2fM", (double)count / 1e6);
    else if (count >= 1000)
        snprintf(out, 16, "%.2fK", (double)count / 1e3);
    else
        out[0] = '\0';
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void put_details(struct ew_jsonw *json, const struct ew_wire_model *model)
{
    char size[16];
    const char *family = or_empty(model->architecture);
    name_count(size, model->parameters);
    ew_jsonw_key(json, "details");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "parent_model", "");
    ew_jsonw_put_text(json, "format", "gguf");
    ew_jsonw_put_text(json, "family", family);
    ew_jsonw_key(json, "families");
    ew_jsonw_array(json);
    if (*family)
        ew_jsonw_text(json, family);
    ew_jsonw_end(json);
    ew_jsonw_put_text(json, "parameter_size", size);
    ew_jsonw_put_text(json, "quantization_level", or_empty(model->quantization));
    ew_jsonw_end(json);
}

/* Opens the object of a model in a list. */
static void put_model(struct ew_jsonw *json, const struct ew_wire_model *model)
{
    bool known = model->sha256 && *model->sha256;
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "name", model->name);
    ew_jsonw_put_text(json, "model", model->name);
    ew_jsonw_put_u64(json, "size", model->bytes);
    ew_jsonw_put_text(json, "digest", known ? model->sha256 : UNKNOWN_DIGEST);
    put_details(json, model);
}

static void list_begin(struct ew_write *text, struct ew_buf *out)
{
    ew_write_begin(text, out);
    ew_jsonw_object(&text->json);
    ew_jsonw_key(&text->json, "models");
    ew_jsonw_array(&text->json);
}

static int list_end(struct ew_write *text)
{
    ew_jsonw_end(&text->json);
    ew_jsonw_end(&text->json);
    return ew_write_end(text);
}

int ew_ollama_tags(const struct ew_wire_model *models, size_t count, struct ew_buf *out)
{
    struct ew_write text;
    list_begin(&text, out);
    for (size_t i = 0; i < count; i++) {
        put_model(&text.json, &models[i]);
        ew_ollama_put_time(&text.json, "modified_at", models[i].created_s);
        ew_jsonw_end(&text.json);
    }
    return list_end(&text);
}

int ew_ollama_ps(const struct ew_wire_model *models, size_t count, struct ew_buf *out)
{
    struct ew_write text;
    list_begin(&text, out);
    for (size_t i = 0; i < count; i++) {
        if (!models[i].loaded)
            continue;
        put_model(&text.json, &models[i]);
        if (models[i].expires_s < 0)
            ew_jsonw_put_text(&text.json, "expires_at", NEVER);
        else
            ew_ollama_put_time(&text.json, "expires_at", models[i].expires_s);
        ew_jsonw_put_int(&text.json, "size_vram", 0); /* all of it is computed on the CPU */
        ew_jsonw_put_u64(&text.json, "context_length", models[i].ctx);
        ew_jsonw_end(&text.json);
    }
    return list_end(&text);
}

static void put_info(struct ew_jsonw *json, const struct ew_wire_model *model)
{
    const char *family = or_empty(model->architecture);
    char key[80];
    ew_jsonw_key(json, "model_info");
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "general.architecture", family);
    if (model->parameters)
        ew_jsonw_put_u64(json, "general.parameter_count", model->parameters);
    if (*family && model->ctx) {
        snprintf(key, sizeof key, "%.48s.context_length", family);
        ew_jsonw_put_u64(json, key, model->ctx);
    }
    if (*family && model->embedding) {
        snprintf(key, sizeof key, "%.48s.embedding_length", family);
        ew_jsonw_put_u64(json, key, model->embedding);
    }
    ew_jsonw_end(json);
}

int ew_ollama_show(const struct ew_wire_model *model, struct ew_buf *out)
{
    struct ew_write text;
    struct ew_jsonw *json = &text.json;
    ew_write_begin(&text, out);
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "license", or_empty(model->licence));
    ew_jsonw_put_text(json, "template", or_empty(model->template_text));
    put_details(json, model);
    put_info(json, model);
    ew_jsonw_key(json, "capabilities");
    ew_jsonw_array(json);
    ew_jsonw_text(json, "completion");
    if (model->tools)
        ew_jsonw_text(json, "tools");
    ew_jsonw_end(json);
    ew_ollama_put_time(json, "modified_at", model->created_s);
    ew_jsonw_end(json);
    return ew_write_end(&text);
}

int ew_ollama_version(struct ew_buf *out)
{
    struct ew_write text;
    ew_write_begin(&text, out);
    ew_jsonw_object(&text.json);
    ew_jsonw_put_text(&text.json, "version", API_VERSION);
    ew_jsonw_put_text(&text.json, "edgewise", EW_VERSION);
    ew_jsonw_end(&text.json);
    return ew_write_end(&text);
}

int ew_ollama_name(struct ew_str body, char **gives, struct ew_fault *fault)
{
    struct ew_read in;
    struct ew_request request;
    const json_t *root = ew_read_open(&in, &request, body, NULL, fault);
    const char *name = NULL;
    *gives = NULL;
    if (root) {
        name = ew_read_text(&in, root, "", "model");
        if (!name || !*name)
            name = ew_read_text(&in, root, "", "name");
        if (!name || !*name)
            ew_read_fail(&in, "missing_required_parameter", "model", "model is required");
        else if (!(*gives = strdup(name)))
            ew_fault_set(fault, 503, NULL, "model", "There is no memory for the request.");
    }
    int rc = ew_read_close(&in);
    ew_request_fini(&request);
    return rc;
}
