/* openai_models.c - GET /v1/models, and one of them. */
#include "api/openai_int.h"

static void write_model(struct ew_jsonw *json, const struct ew_wire_model *model)
{
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "id", model->name);
    ew_jsonw_put_text(json, "object", "model");
    ew_jsonw_put_int(json, "created", model->created_s);
    ew_jsonw_put_text(json, "owned_by", model->owner);
    ew_jsonw_end(json);
}

int ew_openai_models(const struct ew_wire_model *models, size_t count, struct ew_buf *out)
{
    struct ew_write text;
    ew_write_begin(&text, out);
    ew_jsonw_object(&text.json);
    ew_jsonw_put_text(&text.json, "object", "list");
    ew_jsonw_key(&text.json, "data");
    ew_jsonw_array(&text.json);
    for (size_t i = 0; i < count; i++)
        write_model(&text.json, &models[i]);
    ew_jsonw_end(&text.json);
    ew_jsonw_end(&text.json);
    return ew_write_end(&text);
}

int ew_openai_model(const struct ew_wire_model *model, struct ew_buf *out)
{
    struct ew_write text;
    ew_write_begin(&text, out);
    write_model(&text.json, model);
    return ew_write_end(&text);
}
