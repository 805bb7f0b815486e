/* yaml_doc.c - the libyaml and libcyaml adapter: tree with lines, check against the schema, load. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/yaml_doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/suggest.h"

enum { FIELD_BYTES_MAX = 256, SHOWN_BYTES_MAX = 60, FIELDS_MAX = 64, DEPTH_MAX = 16 };

struct yaml_doc {
    const struct yaml_source *source;
    yaml_document_t document;
};

/* ---- complaints ---- */

static enum status complain_at(const struct yaml_doc *doc, struct err *err, size_t line, const char *field,
                               const char *format, va_list args)
{
    char words[ERR_TEXT_MAX];
    vsnprintf(words, sizeof words, format, args);
    return err_set(err, doc->source->failure, "%s:%zu: %s%s%s", doc->source->file, line, field,
                   *field ? ": " : "", words);
}

/* `line` counts from 0 as libyaml does. */
__attribute__((format(printf, 5, 6))) static enum status
refuse(const struct yaml_doc *doc, struct err *err, size_t line, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status status = complain_at(doc, err, line + 1, field, format, args);
    va_end(args);
    return status;
}

/* ---- the tree ---- */

static yaml_node_t *node_at(const struct yaml_doc *doc, yaml_node_item_t item)
{
    return yaml_document_get_node((yaml_document_t *)&doc->document, item);
}

static struct slice node_text(const yaml_node_t *node)
{
    return slice_make(node->data.scalar.value, node->data.scalar.length);
}

/* The pair of a mapping whose key is `name`; NULL when there is none. */
static yaml_node_pair_t *pair_find(const struct yaml_doc *doc, const yaml_node_t *mapping, struct slice name)
{
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
         pair++)
    {
        const yaml_node_t *key = node_at(doc, pair->key);
        if (key->type == YAML_SCALAR_NODE && slice_equal(node_text(key), name)) return pair;
    }
    return NULL;
}

/* Follows "functions[1].name" as far as it goes; the line of the last piece found. */
static size_t field_line(const struct yaml_doc *doc, const char *field)
{
    const yaml_node_t *node = yaml_document_get_root_node((yaml_document_t *)&doc->document);
    size_t line = 0;
    while (node && *field)
    {
        if (*field == '[')
        {
            if (node->type != YAML_SEQUENCE_NODE) return line;
            char *end;
            size_t index = strtoul(field + 1, &end, 10);
            size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
            if (index >= count) return line;
            node = node_at(doc, node->data.sequence.items.start[index]);
            line = node->start_mark.line;
            field = end + 1;
            continue;
        }
        if (*field == '.') field++;
        size_t size = strcspn(field, ".[");
        if (node->type != YAML_MAPPING_NODE) return line;
        const yaml_node_pair_t *pair = pair_find(doc, node, slice_make(field, size));
        if (!pair) return line;
        line = node_at(doc, pair->key)->start_mark.line;
        node = node_at(doc, pair->value);
        field += size;
    }
    return line;
}

size_t yaml_doc_line(const struct yaml_doc *doc, const char *field)
{
    return field_line(doc, field) + 1;
}

enum status yaml_doc_complain(const struct yaml_doc *doc, struct err *err, const char *field,
                              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status status = complain_at(doc, err, yaml_doc_line(doc, field), field, format, args);
    va_end(args);
    return status;
}

/* ---- the check against the schema ---- */

/* What stands there, in words for a message: a short copy of a scalar, or the kind of a collection. */
struct shown {
    char text[SHOWN_BYTES_MAX + 16];
};

static struct shown show(const yaml_node_t *node)
{
    struct shown shown;
    if (node->type == YAML_SEQUENCE_NODE)
        snprintf(shown.text, sizeof shown.text, "a list");
    else if (node->type == YAML_MAPPING_NODE)
        snprintf(shown.text, sizeof shown.text, "a mapping");
    else if (node->data.scalar.length == 0)
        snprintf(shown.text, sizeof shown.text, "nothing");
    else if (node->data.scalar.length > SHOWN_BYTES_MAX)
        snprintf(shown.text, sizeof shown.text, "`%.*s...`", SHOWN_BYTES_MAX, node->data.scalar.value);
    else
        snprintf(shown.text, sizeof shown.text, "`%s`", node->data.scalar.value);
    return shown;
}

/* "functions[12].pool.max" is limited by "functions[].pool.max". */
static bool limit_matches(const char *pattern, const char *field)
{
    while (*pattern && *pattern == *field)
    {
        if (*pattern == '[') field += strcspn(field, "]") - 1;
        pattern++;
        field++;
    }
    return !*pattern && !*field;
}

static struct yaml_limit limit_of(const struct yaml_doc *doc, const char *field)
{
    for (const struct yaml_limit *limit = doc->source->limits; limit && limit->field; limit++)
        if (limit_matches(limit->field, field)) return *limit;
    return (struct yaml_limit){field, 0, UINT32_MAX};
}

/* Plain decimal digits only: `010` means different numbers to different readers of YAML. */
static bool number_parse(struct slice text, uint64_t *number)
{
    const char *digits = text.data;
    if (text.size == 0 || text.size > 19 || (text.size > 1 && digits[0] == '0')) return false;
    *number = 0;
    for (size_t i = 0; i < text.size; i++)
    {
        if (digits[i] < '0' || digits[i] > '9') return false;
        *number = *number * 10 + (uint64_t)(digits[i] - '0');
    }
    return true;
}

static enum status check_number(const struct yaml_doc *doc, const yaml_node_t *node, const char *field,
                                struct err *err)
{
    struct yaml_limit limit = limit_of(doc, field);
    uint64_t number;
    if (node->type == YAML_SCALAR_NODE && number_parse(node_text(node), &number) && number >= limit.min &&
        number <= limit.max)
        return STATUS_OK;
    return refuse(doc, err, node->start_mark.line, field, "expected a number from %llu to %llu, found %s",
                  (unsigned long long)limit.min, (unsigned long long)limit.max, show(node).text);
}

static enum status check_bool(const struct yaml_doc *doc, const yaml_node_t *node, const char *field,
                              struct err *err)
{
    if (node->type == YAML_SCALAR_NODE &&
        (slice_is(node_text(node), "true") || slice_is(node_text(node), "false")))
        return STATUS_OK;
    return refuse(doc, err, node->start_mark.line, field, "expected true or false, found %s",
                  show(node).text);
}

static enum status check_enum(const struct yaml_doc *doc, const yaml_node_t *node,
                              const cyaml_schema_value_t *schema, const char *field, struct err *err)
{
    struct buf words = BUF_INIT;
    bool known = false;
    for (uint32_t i = 0; i < schema->enumeration.count; i++)
    {
        const char *word = schema->enumeration.strings[i].str;
        known |= node->type == YAML_SCALAR_NODE && slice_is(node_text(node), word);
        buf_printf(&words, "%s`%s`", i ? " or " : "", word);
    }
    enum status status = known ? STATUS_OK
                               : refuse(doc, err, node->start_mark.line, field, "expected %s, found %s",
                                        buf_cstr(&words), show(node).text);
    buf_fini(&words);
    return status;
}

static enum status check_string(const struct yaml_doc *doc, const yaml_node_t *node,
                                const cyaml_schema_value_t *schema, const char *field, struct err *err)
{
    if (node->type != YAML_SCALAR_NODE)
        return refuse(doc, err, node->start_mark.line, field, "expected a text, found %s", show(node).text);
    struct slice text = node_text(node);
    if (text.size < schema->string.min)
        return refuse(doc, err, node->start_mark.line, field, "expected a text, found nothing");
    if (text.size > schema->string.max)
        return refuse(doc, err, node->start_mark.line, field,
                      "is too long: %zu bytes, at most %u are allowed", text.size, schema->string.max);
    if (memchr(text.data, 0, text.size))
        return refuse(doc, err, node->start_mark.line, field, "has a zero byte");
    return STATUS_OK;
}

static enum status check_value(const struct yaml_doc *doc, const yaml_node_t *node,
                               const cyaml_schema_value_t *schema, const char *field, struct err *err);

static enum status check_sequence(const struct yaml_doc *doc, const yaml_node_t *node,
                                  const cyaml_schema_value_t *schema, const char *field, struct err *err)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return refuse(doc, err, node->start_mark.line, field, "expected a list, found %s", show(node).text);
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count < schema->sequence.min) return refuse(doc, err, node->start_mark.line, field, "is empty");
    if (count > schema->sequence.max)
        return refuse(doc, err, node->start_mark.line, field, "has %zu entries, at most %u are allowed",
                      count, schema->sequence.max);
    for (size_t i = 0; i < count; i++)
    {
        char inner[FIELD_BYTES_MAX];
        snprintf(inner, sizeof inner, "%s[%zu]", field, i);
        TRY(check_value(doc, node_at(doc, node->data.sequence.items.start[i]), schema->sequence.entry, inner,
                        err));
    }
    return STATUS_OK;
}

static const cyaml_schema_field_t *schema_field(const cyaml_schema_value_t *schema, struct slice name)
{
    for (const cyaml_schema_field_t *known = schema->mapping.fields; known->key; known++)
        if (slice_is(name, known->key)) return known;
    return NULL;
}

static enum status refuse_unknown(const struct yaml_doc *doc, const yaml_node_t *key,
                                  const cyaml_schema_value_t *schema, const char *field, struct err *err)
{
    const char *words[FIELDS_MAX + 1] = {NULL};
    struct buf list = BUF_INIT;
    size_t count = 0;
    for (const cyaml_schema_field_t *known = schema->mapping.fields; known->key && count < FIELDS_MAX;
         known++)
    {
        buf_printf(&list, "%s%s", count ? ", " : "", known->key);
        words[count++] = known->key;
    }
    const char *near = suggest_word(node_text(key), words);
    if (near)
        (void)refuse(doc, err, key->start_mark.line, field, "unknown field; did you mean `%s`?", near);
    else
        (void)refuse(doc, err, key->start_mark.line, field, "unknown field; allowed are: %s",
                     buf_cstr(&list));
    buf_fini(&list);
    return doc->source->failure;
}

/* The name of a field inside of `field`, cut when a hostile key is long. */
static void field_join(char *inner, size_t size, const char *field, struct slice name)
{
    int shown = name.size > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)name.size;
    snprintf(inner, size, "%s%s%.*s", field, *field ? "." : "", shown, (const char *)name.data);
}

static enum status check_mapping(const struct yaml_doc *doc, const yaml_node_t *node,
                                 const cyaml_schema_value_t *schema, const char *field, struct err *err)
{
    if (node->type != YAML_MAPPING_NODE)
        return refuse(doc, err, node->start_mark.line, field, "expected a mapping, found %s",
                      show(node).text);
    char inner[FIELD_BYTES_MAX];
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++)
    {
        const yaml_node_t *key = node_at(doc, pair->key);
        if (key->type != YAML_SCALAR_NODE)
            return refuse(doc, err, key->start_mark.line, field, "a field name must be a word");
        field_join(inner, sizeof inner, field, node_text(key));
        const yaml_node_pair_t *first = pair_find(doc, node, node_text(key));
        if (first != pair)
            return refuse(doc, err, key->start_mark.line, inner, "is given twice, first in line %zu",
                          node_at(doc, first->key)->start_mark.line + 1);
        const cyaml_schema_field_t *known = schema_field(schema, node_text(key));
        if (!known) return refuse_unknown(doc, key, schema, inner, err);
        TRY(check_value(doc, node_at(doc, pair->value), &known->value, inner, err));
    }
    for (const cyaml_schema_field_t *known = schema->mapping.fields; known->key; known++)
    {
        if ((known->value.flags & CYAML_FLAG_OPTIONAL) || pair_find(doc, node, slice_cstr(known->key)))
            continue;
        field_join(inner, sizeof inner, field, slice_cstr(known->key));
        return refuse(doc, err, node->start_mark.line, inner, "is missing");
    }
    return STATUS_OK;
}

/* Goes as deep as the schema, however deep the text is. */
static enum status check_value(const struct yaml_doc *doc, const yaml_node_t *node,
                               const cyaml_schema_value_t *schema, const char *field, struct err *err)
{
    switch (schema->type)
    {
    case CYAML_UINT:
        return check_number(doc, node, field, err);
    case CYAML_BOOL:
        return check_bool(doc, node, field, err);
    case CYAML_ENUM:
        return check_enum(doc, node, schema, field, err);
    case CYAML_STRING:
        return check_string(doc, node, schema, field, err);
    case CYAML_SEQUENCE:
        return check_sequence(doc, node, schema, field, err);
    case CYAML_MAPPING:
        return check_mapping(doc, node, schema, field, err);
    default:
        UNREACHABLE("a schema of ours uses no other type");
    }
}

/* ---- loading ---- */

static size_t line_of_offset(struct slice text, size_t offset)
{
    size_t line = 0;
    for (size_t i = 0; i < offset && i < text.size; i++) line += ((const char *)text.data)[i] == '\n';
    return line;
}

static enum status refuse_syntax(const struct yaml_doc *doc, const yaml_parser_t *parser, struct err *err)
{
    size_t line = parser->error == YAML_READER_ERROR
                      ? line_of_offset(doc->source->text, parser->problem_offset)
                      : parser->problem_mark.line;
    return refuse(doc, err, line, "", "is not YAML: %s%s%s", parser->problem ? parser->problem : "no memory",
                  parser->context ? " " : "", parser->context ? parser->context : "");
}

static bool has_anchor(const yaml_event_t *event)
{
    return event->type == YAML_ALIAS_EVENT ||
           (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor);
}

static int depth_step(const yaml_event_t *event)
{
    switch (event->type)
    {
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return 1;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return -1;
    default:
        return 0;
    }
}

/* Anchors make a tree into a graph that can be far larger than its text, and libyaml's time grows with the square of the
 * depth: both are refused event by event, before a tree is built. */
static enum status refuse_special(const struct yaml_doc *doc, struct err *err)
{
    yaml_parser_t parser;
    CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, doc->source->text.data, doc->source->text.size);
    enum status status = STATUS_OK;
    size_t documents = 0;
    int depth = 0;
    for (bool end = false; !end && status == STATUS_OK;)
    {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event))
        {
            status = refuse_syntax(doc, &parser, err);
            break;
        }
        size_t line = event.start_mark.line;
        if (has_anchor(&event)) status = refuse(doc, err, line, "", "anchors and aliases are not supported");
        depth += depth_step(&event);
        if (depth > DEPTH_MAX) status = refuse(doc, err, line, "", "is nested too deeply");
        if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            status = refuse(doc, err, line, "", "expected one document, found another");
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

static enum status tree_load(struct yaml_doc *doc, struct err *err)
{
    TRY(refuse_special(doc, err));
    yaml_parser_t parser;
    CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, doc->source->text.data, doc->source->text.size);
    enum status status = STATUS_OK;
    if (!yaml_parser_load(&parser, &doc->document))
    {
        status = refuse_syntax(doc, &parser, err);
        doc->document = (yaml_document_t){0};
    }
    yaml_parser_delete(&parser);
    return status;
}

/* Keeps the first line that libcyaml says: the cause; the rest is where it was. */
struct cyaml_words {
    char text[200];
};

static void cyaml_said(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    struct cyaml_words *words = ctx;
    if (!words->text[0]) vsnprintf(words->text, sizeof words->text, format, args);
    words->text[strcspn(words->text, "\n")] = 0;
}

static enum status value_load(const struct yaml_doc *doc, void **value, struct err *err)
{
    struct cyaml_words words = {{0}};
    const cyaml_config_t config = {
        .log_fn = cyaml_said, .log_ctx = &words, .log_level = CYAML_LOG_WARNING, .mem_fn = cyaml_mem};
    cyaml_err_t result = cyaml_load_data(doc->source->text.data, doc->source->text.size, &config,
                                         doc->source->schema, value, NULL);
    if (result == CYAML_OK) return STATUS_OK;
    return err_set(err, doc->source->failure, "%s: %s", doc->source->file,
                   words.text[0] ? words.text : cyaml_strerror(result));
}

enum status yaml_doc_load(const struct yaml_source *source, struct yaml_doc **doc, void **value,
                          struct err *err)
{
    struct yaml_doc *self = mem_zalloc(sizeof *self);
    self->source = source;
    enum status status = tree_load(self, err);
    if (status != STATUS_OK) goto free_doc;
    const yaml_node_t *root = yaml_document_get_root_node(&self->document);
    status = root ? check_value(self, root, source->schema, "", err) : refuse(self, err, 0, "", "is empty");
    if (status != STATUS_OK) goto free_doc;
    status = value_load(self, value, err);
    if (status != STATUS_OK) goto free_doc;
    *doc = self;
    return STATUS_OK;
free_doc:
    yaml_doc_free(self);
    return status;
}

void yaml_doc_free(struct yaml_doc *doc)
{
    if (!doc) return;
    yaml_document_delete(&doc->document);
    free(doc);
}

void yaml_value_free(const cyaml_schema_value_t *schema, void *value)
{
    const cyaml_config_t config = {.mem_fn = cyaml_mem};
    (void)cyaml_free(&config, schema, value, 0); /* fails only for a schema that is none */
}
