/* yaml_doc.h - YAML text into a struct by a libcyaml schema, with complaints that name file, line and field. */
// SPDX-License-Identifier: Apache-2.0
//
// libcyaml does the loading. Its own complaints do not always know the line and never the range that is allowed, so the
// text is first checked against the same schema over the tree of libyaml; libcyaml then meets only what it accepts. The
// tree is kept, so that later checks (names, duplicates) can point at a line too:
//
//     stead.yaml:7: functions[1].timeout_ms: expected a number from 1 to 86400000, found `soon`
#pragma once

#include <cyaml/cyaml.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct yaml_doc;

/* The range of a number, which the schema cannot say. `field` has empty brackets: "functions[].timeout_ms". */
struct yaml_limit {
    const char *field;
    uint64_t min;
    uint64_t max;
};

struct yaml_source {
    const char *file; /* the name that complaints begin with */
    struct slice text;
    const cyaml_schema_value_t *schema; /* a mapping by pointer */
    const struct yaml_limit *limits; /* ended by a NULL field */
    enum status failure; /* status of every complaint */
};

/* The value is freed with yaml_value_free. `source` must outlive the document. Neither anchors nor several documents
 * are taken: a manifest is data. */
MUST_CHECK enum status yaml_doc_load(const struct yaml_source *source, struct yaml_doc **doc, void **value,
                                     struct err *err);
void yaml_doc_free(struct yaml_doc *doc);
void yaml_value_free(const cyaml_schema_value_t *schema, void *value);

/* The line of a field, from 1. */
size_t yaml_doc_line(const struct yaml_doc *doc, const char *field);
/* "file:line: field: words"; a field that is not there gives the line of what would contain it. */
enum status yaml_doc_complain(const struct yaml_doc *doc, struct err *err, const char *field,
                              const char *format, ...) __attribute__((format(printf, 4, 5), cold));
