/* manifest_channels.h - the channels and subscriptions of a manifest: their schema, defaults and checks. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/catalog/manifest.h"
#include "runtime/catalog/yaml_doc.h"

extern const cyaml_schema_value_t manifest_channel_schema;
extern const cyaml_schema_value_t manifest_subscription_schema;

/* Fills in what was left out too. */
MUST_CHECK enum status manifest_channels_check(const struct yaml_doc *doc, struct manifest *manifest,
                                               struct err *err);
