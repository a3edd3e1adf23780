/* grammars.c - a short list, newest first, found by model and exact text.
 *
 * The lock isn't held while a grammar is made: that would make all requests wait for one schema.
 * Two who make the same at once both do; one copy is kept. */
#include "serve/grammars.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define KEY_BYTES_MAX (8u << 20) /* above what a schema may have */

struct ew_grammars_entry {
    const struct ew_model *model;
    struct ew_buf key;
    struct ew_grammar *grammar;
    uint32_t uses;
    struct ew_grammars_entry *next;
};

struct ew_grammars {
    pthread_mutex_t lock;
    struct ew_grammars_entry *first; /* newest use first */
};

static void add_text(struct ew_buf *key, const char *text, size_t bytes, int *failed)
{
    if (!*failed)
        *failed = ew_buf_printf(key, NULL, "%zd:", text ? (ssize_t)bytes : (ssize_t)-1);
    if (!*failed && text)
        *failed = ew_buf_add(key, text, bytes, NULL);
}

static int make_key(struct ew_buf *key, const struct ew_grammar_params *p, struct ew_err *err)
{
    int failed = 0;
    ew_buf_init(key, KEY_BYTES_MAX);
    for (const struct ew_grammar_params *form = p; form; form = form->otherwise) {
        add_text(key, form->schema, form->schema_bytes, &failed);
        add_text(key, form->before, form->before ? strlen(form->before) : 0, &failed);
        add_text(key, form->after, form->after ? strlen(form->after) : 0, &failed);
    }
    return failed ? ew_fail(err, failed, "a schema of %zu bytes is too large", p->schema_bytes) : 0;
}

static void close_entry(struct ew_grammars_entry *entry)
{
    ew_grammar_close(&entry->grammar);
    ew_buf_fini(&entry->key);
    free(entry);
}

/* The entry moves to the front; under the lock. */
static struct ew_grammars_entry *use(struct ew_grammars *grammars, const struct ew_model *model,
                                     const struct ew_buf *key)
{
    for (struct ew_grammars_entry **at = &grammars->first, *e; (e = *at); at = &e->next)
        if (e->model == model && e->key.bytes == key->bytes &&
            memcmp(e->key.data, key->data, key->bytes) == 0) {
            *at = e->next;
            e->next = grammars->first;
            grammars->first = e;
            e->uses++;
            return e;
        }
    return NULL;
}

/* Under the lock. */
static void drop_oldest(struct ew_grammars *grammars)
{
    size_t kept = 0;
    struct ew_grammars_entry **at = &grammars->first;
    while (*at) {
        struct ew_grammars_entry *e = *at;
        if (++kept <= EW_GRAMMARS_MAX || e->uses) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        close_entry(e);
    }
}

int ew_grammars_open(struct ew_grammars **gives, struct ew_err *err)
{
    struct ew_grammars *grammars = calloc(1, sizeof *grammars);
    if (!grammars)
        return ew_fail(err, EW_ENOMEM, "no memory for grammars");
    pthread_mutex_init(&grammars->lock, NULL);
    *gives = grammars;
    return 0;
}

static void drop_all(struct ew_grammars *grammars, const struct ew_model *model)
{
    struct ew_grammars_entry **at = &grammars->first;
    while (*at) {
        struct ew_grammars_entry *e = *at;
        if (model && e->model != model) {
            at = &e->next;
            continue;
        }
        EW_ASSERT(!e->uses);
        *at = e->next;
        close_entry(e);
    }
}

void ew_grammars_close(struct ew_grammars **grammars)
{
    if (!*grammars)
        return;
    drop_all(*grammars, NULL);
    pthread_mutex_destroy(&(*grammars)->lock);
    free(*grammars);
    *grammars = NULL;
}

int ew_grammars_get(struct ew_grammars *grammars, const struct ew_model *model,
                    const struct ew_grammar_params *params, struct ew_grammars_entry **gives,
                    struct ew_err *err)
{
    struct ew_buf key;
    int failed = make_key(&key, params, err);
    *gives = NULL;
    if (failed)
        goto out;
    pthread_mutex_lock(&grammars->lock);
    *gives = use(grammars, model, &key);
    pthread_mutex_unlock(&grammars->lock);
    if (*gives)
        goto out;
    struct ew_grammars_entry *made = calloc(1, sizeof *made);
    if (!made) {
        failed = ew_fail(err, EW_ENOMEM, "no memory for a grammar");
        goto out;
    }
    if ((failed = ew_grammar_open(&made->grammar, model, params, err))) {
        free(made);
        goto out;
    }
    *made = (struct ew_grammars_entry){model, key, made->grammar, 1, NULL};
    key = (struct ew_buf){0};
    pthread_mutex_lock(&grammars->lock);
    made->next = grammars->first;
    grammars->first = *gives = made;
    drop_oldest(grammars);
    pthread_mutex_unlock(&grammars->lock);
out:
    ew_buf_fini(&key);
    return failed;
}

const struct ew_grammar *ew_grammars_grammar(const struct ew_grammars_entry *entry)
{
    return entry->grammar;
}

void ew_grammars_put(struct ew_grammars *grammars, struct ew_grammars_entry **entry)
{
    if (!*entry)
        return;
    pthread_mutex_lock(&grammars->lock);
    (*entry)->uses--;
    pthread_mutex_unlock(&grammars->lock);
    *entry = NULL;
}

void ew_grammars_forget(struct ew_grammars *grammars, const struct ew_model *model)
{
    pthread_mutex_lock(&grammars->lock);
    drop_all(grammars, model);
    pthread_mutex_unlock(&grammars->lock);
}
