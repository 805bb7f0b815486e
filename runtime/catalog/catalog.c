/* catalog.c - apps and their versions in memory; planned changes and their records. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/catalog.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/catalog/catalog_record.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/statestore.h"

/* Sorted by name: few, changed seldom, listed often. */
struct catalog {
    struct catalog_app **apps;
    size_t count;
};

/* ---- versions ---- */

struct catalog_version *catalog_version_create(const char *id, const struct artifact_id *artifact,
                                               uint64_t deployed_ms, struct slice manifest_text,
                                               struct manifest *manifest)
{
    struct catalog_version *version = mem_zalloc(sizeof *version);
    CHECK(strlen(id) == CATALOG_VERSION_ID_BYTES);
    memcpy(version->id, id, sizeof version->id);
    version->artifact = *artifact;
    version->deployed_ms = deployed_ms;
    version->manifest = manifest;
    version->manifest_text = slice_make(mem_dup(manifest_text), manifest_text.size);
    version->refs = 1;
    return version;
}

struct catalog_version *catalog_version_ref(struct catalog_version *version)
{
    CHECK(version->refs > 0);
    version->refs++;
    return version;
}

void catalog_version_unref(struct catalog_version *version)
{
    if (!version) return;
    CHECK(version->refs > 0);
    if (--version->refs > 0) return;
    manifest_destroy(version->manifest);
    free((void *)version->manifest_text.data);
    free(version);
}

void catalog_version_id(char id[CATALOG_VERSION_ID_BYTES + 1], struct slice manifest_text, struct slice code)
{
    uint64_t size = manifest_text.size; /* so that no byte can move from one to the other unseen */
    const struct slice parts[] = {slice_make(&size, sizeof size), manifest_text, code};
    struct artifact_id whole = artifact_id_of_parts(parts, 3);
    memcpy(id, whole.hex, CATALOG_VERSION_ID_BYTES);
    id[CATALOG_VERSION_ID_BYTES] = 0;
}

/* ---- the catalog ---- */

struct catalog *catalog_create(void)
{
    return mem_zalloc(sizeof(struct catalog));
}

void catalog_destroy(struct catalog *catalog)
{
    if (!catalog) return;
    for (size_t i = 0; i < catalog->count; i++) catalog_app_destroy(catalog->apps[i]);
    free(catalog->apps);
    free(catalog);
}

/* Where `name` is or would be. */
static size_t place_of(const struct catalog *catalog, struct slice name, bool *found)
{
    size_t low = 0, high = catalog->count;
    while (low < high)
    {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(slice_cstr(catalog->apps[middle]->name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < catalog->count && slice_is(name, catalog->apps[low]->name);
    return low;
}

/* Puts `app`, which may replace one of the same name. */
static void app_insert(struct catalog *catalog, struct catalog_app *app)
{
    bool found;
    size_t place = place_of(catalog, slice_cstr(app->name), &found);
    if (found)
    {
        catalog_app_destroy(catalog->apps[place]);
        catalog->apps[place] = app;
        return;
    }
    catalog->apps = mem_realloc(catalog->apps, (catalog->count + 1) * sizeof *catalog->apps);
    memmove(&catalog->apps[place + 1], &catalog->apps[place],
            (catalog->count - place) * sizeof *catalog->apps);
    catalog->apps[place] = app;
    catalog->count++;
}

static void app_remove(struct catalog *catalog, struct slice name)
{
    bool found;
    size_t place = place_of(catalog, name, &found);
    CHECK(found);
    catalog_app_destroy(catalog->apps[place]);
    catalog->count--;
    memmove(&catalog->apps[place], &catalog->apps[place + 1],
            (catalog->count - place) * sizeof *catalog->apps);
}

const struct catalog_app *catalog_app_find(const struct catalog *catalog, struct slice name)
{
    bool found;
    size_t place = place_of(catalog, name, &found);
    return found ? catalog->apps[place] : NULL;
}

size_t catalog_app_count(const struct catalog *catalog)
{
    return catalog->count;
}

const struct catalog_app *catalog_app_at(const struct catalog *catalog, size_t index)
{
    CHECK(index < catalog->count);
    return catalog->apps[index];
}

struct catalog_version *catalog_version_find(const struct catalog_app *app, struct slice id)
{
    struct catalog_version *match = NULL;
    if (id.size == 0) return NULL;
    for (size_t i = 0; i < app->version_count; i++)
    {
        if (!slice_starts_with(slice_cstr(app->versions[i]->id), id)) continue;
        if (match) return NULL;
        match = app->versions[i];
    }
    return match;
}

struct catalog_version *catalog_version_before(const struct catalog_app *app)
{
    return app->current > 0 ? app->versions[app->current - 1] : NULL;
}

bool catalog_needs(const struct catalog *catalog, const struct artifact_id *artifact)
{
    for (size_t i = 0; i < catalog->count; i++)
        for (size_t j = 0; j < catalog->apps[i]->version_count; j++)
            if (strcmp(catalog->apps[i]->versions[j]->artifact.hex, artifact->hex) == 0) return true;
    return false;
}

/* ---- loading ---- */

struct load {
    struct catalog *catalog;
    enum status status;
    struct err *err;
};

static bool load_row(void *ctx, struct slice key, struct slice value)
{
    struct load *load = ctx;
    struct slice name;
    if (!catalog_record_key_split(key, &name)) return true;
    struct catalog_app *app;
    load->status = catalog_record_decode(name, value, &app, load->err);
    if (load->status == STATUS_OK) app_insert(load->catalog, app);
    return load->status == STATUS_OK;
}

enum status catalog_load(struct catalog *catalog, struct store_snapshot *snapshot, struct err *err)
{
    CHECK(catalog->count == 0);
    struct load load = {catalog, STATUS_OK, err};
    struct buf low = BUF_INIT, high = BUF_INIT;
    catalog_record_key(&low, SLICE_EMPTY);
    CHECK(keyspace_successor(&high, buf_view(&low)));
    enum status status = store_scan(snapshot, buf_view(&low), buf_view(&high), load_row, &load, err);
    buf_fini(&low);
    buf_fini(&high);
    return status != STATUS_OK ? status : load.status;
}

/* ---- planned changes ---- */

static bool first_piece_is(const char *path, const char *word)
{
    size_t size = strcspn(path + 1, "/");
    return slice_equal(slice_make(path + 1, size), slice_cstr(word));
}

/* `manifest` claims the paths below /{app} and its own routes; nobody else may claim the same. */
static enum status check_other(const struct manifest *manifest, const struct manifest *other, struct err *err)
{
    for (size_t i = 0; i < manifest->route_count; i++)
    {
        const struct manifest_route *route = &manifest->routes[i];
        if (first_piece_is(route->path, other->app))
            return err_set(err, STATUS_ALREADY_EXISTS,
                           "route `%s %s` of app `%s` lies below `/%s`, which is app `%s`", route->method,
                           route->path, manifest->app, other->app, other->app);
        for (size_t j = 0; j < other->route_count; j++)
            if (manifest_route_same(route, &other->routes[j]))
                return err_set(err, STATUS_ALREADY_EXISTS,
                               "route `%s %s` of app `%s` belongs to app `%s` already", route->method,
                               route->path, manifest->app, other->app);
    }
    for (size_t j = 0; j < other->route_count; j++)
        if (first_piece_is(other->routes[j].path, manifest->app))
            return err_set(err, STATUS_ALREADY_EXISTS,
                           "route `%s %s` of app `%s` lies below `/%s`, which would be app `%s`",
                           other->routes[j].method, other->routes[j].path, other->app, manifest->app,
                           manifest->app);
    return STATUS_OK;
}

static enum status check_routes(const struct catalog *catalog, const struct manifest *manifest,
                                struct err *err)
{
    for (size_t i = 0; i < catalog->count; i++)
    {
        const struct manifest *other = catalog_app_current(catalog->apps[i])->manifest;
        if (strcmp(other->app, manifest->app) != 0) TRY(check_other(manifest, other, err));
    }
    return STATUS_OK;
}

/* Fills the change with the one write that makes the app what `after` is (taken), or removes it when that is NULL. */
static void change_make(struct catalog_change *change, struct slice name, struct catalog_app *after)
{
    struct buf key = BUF_INIT, record = BUF_INIT;
    catalog_record_key(&key, name);
    if (after) catalog_record_encode(&record, after);
    struct write_entry entry = {after ? WRITE_PUT : WRITE_DELETE, buf_view(&key), buf_view(&record)};
    *change = (struct catalog_change){.after = after, .name = mem_cstr(name), .writes = BUF_INIT};
    write_set_append(&change->writes, &entry);
    buf_fini(&key);
    buf_fini(&record);
}

/* Takes out a version that has the same content, so that it can become the newest. */
static void forget_same(struct catalog_app *app, const char *id)
{
    for (size_t i = 0; i < app->version_count; i++)
    {
        if (strcmp(app->versions[i]->id, id) != 0) continue;
        catalog_version_unref(app->versions[i]);
        app->version_count--;
        memmove(&app->versions[i], &app->versions[i + 1], (app->version_count - i) * sizeof app->versions[0]);
        return;
    }
}

static void forget_oldest(struct catalog_app *app)
{
    catalog_version_unref(app->versions[0]);
    app->version_count--;
    memmove(&app->versions[0], &app->versions[1], app->version_count * sizeof app->versions[0]);
}

enum status catalog_plan_deploy(const struct catalog *catalog, struct catalog_version *version,
                                struct catalog_change *change, struct err *err)
{
    TRY(check_routes(catalog, version->manifest, err));
    struct slice name = slice_cstr(version->manifest->app);
    const struct catalog_app *before = catalog_app_find(catalog, name);
    struct catalog_app *after = before ? catalog_app_dup(before) : catalog_app_create(name);
    forget_same(after, version->id);
    if (after->version_count == BOUND_VERSIONS_PER_APP_MAX) forget_oldest(after);
    after->current = after->version_count;
    after->versions[after->version_count++] = catalog_version_ref(version);
    change_make(change, name, after);
    return STATUS_OK;
}

enum status catalog_plan_current(const struct catalog *catalog, struct slice app,
                                 struct catalog_version *version, struct catalog_change *change,
                                 struct err *err)
{
    const struct catalog_app *before = catalog_app_find(catalog, app);
    if (!before) return err_set(err, STATUS_APP_NOT_FOUND, "there is no app named `%.*s`", SLICE_FMT(app));
    TRY(check_routes(catalog, version->manifest, err));
    struct catalog_app *after = catalog_app_dup(before);
    after->current = 0;
    while (after->versions[after->current] != version) CHECK(++after->current < after->version_count);
    change_make(change, app, after);
    return STATUS_OK;
}

enum status catalog_plan_remove(const struct catalog *catalog, struct slice app,
                                struct catalog_change *change, struct err *err)
{
    if (!catalog_app_find(catalog, app))
        return err_set(err, STATUS_APP_NOT_FOUND, "there is no app named `%.*s`", SLICE_FMT(app));
    change_make(change, app, NULL);
    return STATUS_OK;
}

void catalog_apply(struct catalog *catalog, struct catalog_change *change)
{
    if (change->after)
        app_insert(catalog, change->after);
    else
        app_remove(catalog, slice_cstr(change->name));
    change->after = NULL;
    catalog_change_drop(change);
}

void catalog_change_drop(struct catalog_change *change)
{
    catalog_app_destroy(change->after);
    free(change->name);
    buf_fini(&change->writes);
    *change = (struct catalog_change){0};
}
