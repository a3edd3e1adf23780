/* schema_int.h - what the files of the schema share; nobody else includes it.
 *
 * A place in the text may have to match several schemas at once (allOf, $ref with something beside
 * it, properties that two of them name): a conjunction of them, whose keywords are then taken
 * together. anyOf multiplies out: for each of its schemas a conjunction, and any of those. */
#ifndef EW_SCHEMA_INT_H
#define EW_SCHEMA_INT_H

#include "model/grammar_int.h"
#include "base/utf8.h"
#include "model/template_int.h"

enum { SCHEMA_ITEMS_MAX = 24, SCHEMA_DEPTH_MAX = 100 };

struct schema_item {
    const struct value *node; /* a dict */
    int16_t parent;           /* that brought it here by allOf, anyOf or $ref; -1: none */
    uint16_t done;            /* its choices that were made */
};

struct conj {
    struct schema_item items[SCHEMA_ITEMS_MAX];
    uint32_t count;
    bool never; /* false is among them */
};

/* A conjunction that is a rule of its own. */
struct schema_rule {
    struct conj conj;
    uint32_t rule;
};

struct schema {
    struct gr_builder *b;
    struct render r; /* its arena has the values */
    struct value root;
    struct schema_rule *rules; /* [GRAMMAR_RULES_MAX] */
    uint32_t rule_count;
    uint32_t alternatives, depth;
};

/* ---- schema.c ---- */

/* Where the keyword stands, and that it isn't what it must be. */
uint32_t ew__schema_wrong(struct schema *s, const struct value *node, const char *keyword,
                          const char *expected);
uint32_t ew__schema_unsupported(struct schema *s, const struct value *node, const char *keyword,
                                const char *why);
struct value *ew__schema_get(const struct value *node, const char *keyword);
void ew__schema_add(struct schema *s, struct conj *c, const struct value *node, int parent);
uint32_t ew__schema_value(struct schema *s, const struct conj *c, uint32_t next);
uint32_t ew__schema_rule(struct schema *s, const struct conj *c); /* of such a value */
/* The one value of a keyword among all; NULL: none. Two different ones aren't supported. */
const struct value *ew__schema_only(struct schema *s, const struct conj *c, const char *keyword,
                                    const struct value **where);
/* The largest of a lower bound, the smallest of an upper one; false: none is given. */
enum schema_bound { SCHEMA_LEAST, SCHEMA_MOST };
bool ew__schema_length(struct schema *s, const struct conj *c, const char *keyword,
                       enum schema_bound bound, uint64_t *out);

/* ---- schema_object.c, schema_string.c, schema_number.c, schema_pattern.c ---- */

uint32_t ew__schema_object(struct schema *s, const struct conj *c, uint32_t next);
uint32_t ew__schema_array(struct schema *s, const struct conj *c, uint32_t next);
uint32_t ew__schema_string(struct schema *s, const struct conj *c, uint32_t next);
enum schema_number { SCHEMA_INTEGER, SCHEMA_NUMBER };
uint32_t ew__schema_number(struct schema *s, const struct conj *c, enum schema_number kind,
                           uint32_t next);
/* Characters of a string that a regular expression matches, without the quotes; where: the schema
 * that has it, for errors. */
uint32_t ew__schema_pattern(struct schema *s, const struct value *where, const char *keyword,
                            struct ew_str pattern, uint32_t next);

#endif
