/* app_spec.c - how wide an app's workers are, what is counted for its functions and what is not. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/app_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/catalog/manifest.h"
#include "runtime/invoke/invoke.h"

static uint32_t sum_u32(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Workers of one partition, which any function of the app may run on. */
static uint32_t workers_max(const struct manifest *manifest)
{
    uint32_t max = 1, memory_mb = 1;
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *function = &manifest->functions[i];
        uint32_t workers = min_u32(function->pool.max, function->concurrency);
        if (workers > max) max = workers;
        if (function->memory_mb > memory_mb) memory_mb = function->memory_mb;
    }
    /* The manifest proved that there is room for one; each must be able to run the largest function. */
    const struct manifest_limits *limits = &manifest->limits;
    if (limits->concurrency) max = min_u32(max, limits->concurrency / manifest->partitions);
    if (limits->memory_mb) max = min_u32(max, limits->memory_mb / manifest->partitions / memory_mb);
    return max;
}

static struct admission_limits limits_of(const struct manifest *manifest,
                                         const struct manifest_function *from)
{
    /* What the workers cannot exceed anyway need not be counted. */
    bool workers_do = from->concurrency >= (uint64_t)workers_max(manifest) * manifest->partitions;
    return (struct admission_limits){
        .in_flight_max = sum_u32(from->queue, from->concurrency),
        .running_max = workers_do ? 0 : from->concurrency,
        .cpu_percent = from->cpu_percent,
        .rate_per_s = from->rate.per_second,
        .rate_burst = from->rate.burst,
        .body_bytes_max = from->body_bytes_max,
        .reply_bytes_max = from->reply_bytes_max,
    };
}

/* Inside of a caller's worker nobody counts: a function with limits that somebody has to count is called in a worker of its
 * own. With several partitions the entity may be elsewhere. */
static bool may_run_inside(const struct manifest *manifest, const struct manifest_function *function)
{
    struct admission_limits limits = limits_of(manifest, function);
    return manifest->partitions == 1 && limits.running_max == 0 && limits.rate_per_s == 0 &&
           limits.body_bytes_max == 0 && limits.reply_bytes_max == 0;
}

/* "NAME=value" for each, as C strings inside of `texts`. The caller frees the list. */
static const char **env_of(const struct manifest *manifest, struct buf *texts)
{
    for (size_t i = 0; i < manifest->env_count; i++)
    {
        buf_printf(texts, "%s=%s", manifest->env[i].name, manifest->env[i].value);
        buf_append_byte(texts, 0);
    }
    const char **list = mem_zalloc((manifest->env_count + 1) * sizeof *list);
    const char *text = (const char *)texts->data;
    for (size_t i = 0; i < manifest->env_count; i++, text += strlen(text) + 1) list[i] = text;
    return list;
}

void app_spec_init(struct app_spec *spec, const struct manifest *manifest)
{
    *spec = (struct app_spec){.env_texts = BUF_INIT};
    spec->functions = mem_zalloc(manifest->function_count * sizeof *spec->functions);
    spec->env = env_of(manifest, &spec->env_texts);
    struct pool_spec *pool = &spec->pool;
    pool->artifact_name = manifest->code;
    pool->data_fd = -1;
    pool->functions = spec->functions;
    pool->function_count = manifest->function_count;
    pool->workers_max = workers_max(manifest);
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *from = &manifest->functions[i];
        spec->functions[i] =
            (struct pool_function){.name = from->name,
                                   .memory_mb = from->memory_mb,
                                   .cpu_percent = from->cpu_percent,
                                   .inside_ms = may_run_inside(manifest, from) ? from->timeout_ms : 0};
        if (from->pool.min > pool->workers_min) pool->workers_min = from->pool.min;
        if (from->pool.idle_ms > pool->idle_ms) pool->idle_ms = from->pool.idle_ms;
        pool->queue_max = sum_u32(pool->queue_max, sum_u32(from->queue, from->concurrency));
    }
    pool->env = spec->env;
    pool->env_count = manifest->env_count;
    for (size_t i = 0; i < manifest->mount_count; i++)
        spec->mounts[i] = (struct sandbox_mount){manifest->mounts[i].from, manifest->mounts[i].to};
    pool->sandbox = (struct sandbox_config){
        .profile = manifest->sandbox,
        .mounts = spec->mounts,
        .mount_count = manifest->mount_count,
        .allow = (const char *const *)manifest->network.allow,
        .allow_count = manifest->network.allow_count,
    };
}

void app_spec_fini(struct app_spec *spec)
{
    free(spec->env);
    buf_fini(&spec->env_texts);
    free(spec->functions);
}

struct invoke_function *app_spec_functions(const struct manifest *manifest)
{
    struct invoke_function *functions = mem_zalloc(manifest->function_count * sizeof *functions);
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *from = &manifest->functions[i];
        struct invoke_function *to = &functions[i];
        snprintf(to->name, sizeof to->name, "%s", from->name);
        for (size_t m = 0, used = 0; m < from->method_count && used < sizeof to->methods; m++)
            used += (size_t)snprintf(to->methods + used, sizeof to->methods - used, "%s%s", m ? ", " : "",
                                     from->methods[m]);
        to->timeout_ms = from->timeout_ms;
        to->memory_mb = from->memory_mb;
        to->relaxed = from->durability == DURABILITY_RELAXED;
        to->limits = limits_of(manifest, from);
        list_init(&to->waiting);
        list_init(&to->paying);
    }
    return functions;
}

struct invoke_channel *app_spec_channels(const struct manifest *manifest)
{
    struct invoke_channel *channels = mem_zalloc((manifest->channel_count + 1) * sizeof *channels);
    for (size_t i = 0; i < manifest->channel_count; i++)
    {
        const struct manifest_channel *from = &manifest->channels[i];
        snprintf(channels[i].name, sizeof channels[i].name, "%s", from->name);
        channels[i].durable = from->kind == CHANNEL_DURABLE;
    }
    return channels;
}

bool app_spec_may_sleep(const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->function_count; i++)
        if (manifest->functions[i].pool.min > 0) return false;
    return true;
}
