/* fx_pool.c - a pool with real processes for tests. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/pool/fx_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/worker/deployment.h" // to find the zygote

const char *const fx_faults[] = {
    "ok",   "pid", "fails",   "segv", "aborts",    "exits",          "spins", "stubborn", "eats", "floods",
    "says", "env", "escapes", "lies", "logs_much", "logs_and_spins", "naps",  "asks",     NULL};
bool fx_spare;
struct cgroups *fx_groups;
static uint64_t runs_finished;

static void on_log(void *ctx, const struct pool_log *line)
{
    struct fx_pool *fx = ctx;
    fx->log_bytes += line->text.size;
    if (fx->log_lines < FX_LOG_LINES)
        snprintf(fx->log[fx->log_lines], sizeof fx->log[0], "%.*s %.*s", SLICE_FMT(line->function),
                 SLICE_FMT(line->text));
    fx->log_lines++;
}

struct machine_memory fx_memory = {.available_bytes = 16 * GIB, .total_bytes = 16 * GIB};

static void read_memory(struct machine_memory *memory)
{
    *memory = fx_memory;
}

static void open_spec(struct fx_pool *fx, const char *path, const char *const *functions,
                      void (*change)(struct pool_spec *spec))
{
    memset(fx, 0, sizeof *fx);
    struct err err = ERR_INIT;
    assert_int_equal(loop_create(&fx->loop, clock_real(), &err), STATUS_OK);
    struct pool_config config = {
        .loop = fx->loop,
        .zygote_program = FX_ZYGOTE,
        .on_log = on_log,
        .log_ctx = fx,
        .start_timeout_ms = 1000,
        .memory = read_memory,
        .spare_zygote = fx_spare,
        .cgroups = fx_groups,
    };
    if (pool_create(&fx->pool, &config, &err) != STATUS_OK) fail_msg("%s", err_text(&err));

    struct pool_function list[128];
    size_t count = 0;
    for (; functions[count]; count++) list[count] = (struct pool_function){.name = functions[count]};
    struct pool_spec spec = {
        .app = "test",
        .version = "1",
        .artifact = path,
        .data_fd = -1,
        .functions = list,
        .function_count = count,
        .workers_max = 2,
    };
    if (change) change(&spec);
    if (pool_deployment_open(fx->pool, &spec, &fx->deployment, &err) != STATUS_OK)
        fail_msg("%s", err_text(&err));
}

void fx_pool_open_spec(struct fx_pool *fx, const char *object, const char *const *functions,
                       void (*change)(struct pool_spec *spec))
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", FX_FUNCTIONS, object);
    open_spec(fx, path, functions, change);
}

void fx_pool_open(struct fx_pool *fx, const char *object, const char *const *functions)
{
    fx_pool_open_spec(fx, object, functions, NULL);
}

void fx_pool_open_file(struct fx_pool *fx, const char *path, const char *const *functions)
{
    open_spec(fx, path, functions, NULL);
}

static void on_stopped(void *ctx)
{
    ((struct fx_pool *)ctx)->stopped = true;
}

static bool is_stopped(struct fx_pool *fx)
{
    return fx->stopped;
}

void fx_pool_close(struct fx_pool *fx)
{
    pool_stop(fx->pool, on_stopped, fx);
    if (!fx->closed) pool_deployment_close(fx->deployment, NULL, NULL);
    fx_until(fx, is_stopped);
    pool_destroy(fx->pool);
    loop_destroy(fx->loop);
}

static void on_started(struct pool_run *run)
{
    ((struct fx_run *)run)->started++;
}

static void on_done(struct pool_run *base, enum status status, const struct wire_result *result,
                    const struct err *err)
{
    struct fx_run *run = (struct fx_run *)base;
    assert_false(run->done);
    run->done = true;
    run->status = status;
    run->finished = ++runs_finished;
    assert_true((status == STATUS_OK) == (result != NULL));
    if (!result)
    {
        snprintf(run->text, sizeof run->text, "%s", err_text(err));
        return;
    }
    run->outcome = result->outcome;
    struct slice text = result->outcome == WIRE_OUTCOME_OK ? result->body : result->failure;
    snprintf(run->text, sizeof run->text, "%.*s", SLICE_FMT(text));
}

void fx_run_init(struct fx_run *run, const char *function, const char *body)
{
    memset(run, 0, sizeof *run);
    run->invoke.ident = SLICE("test-1");
    run->invoke.function = slice_cstr(function);
    run->invoke.body = slice_cstr(body);
    run->invoke.timeout_ms = 5000;
    run->run.invoke = &run->invoke;
    run->run.started = on_started;
    run->run.done = on_done;
}

void fx_submit(struct fx_pool *fx, struct fx_run *run)
{
    pool_submit(fx->deployment, &run->run);
}

void fx_until(struct fx_pool *fx, bool (*holds)(struct fx_pool *fx))
{
    uint64_t limit = clock_monotonic_ns(clock_real()) + 10 * NS_PER_S;
    while (!holds(fx))
    {
        loop_turn(fx->loop, true);
        if (clock_monotonic_ns(clock_real()) > limit) fail_msg("it took more than ten seconds");
    }
}

void fx_wait(struct fx_pool *fx, struct fx_run *run)
{
    while (!run->done) loop_turn(fx->loop, true);
}

void fx_do(struct fx_pool *fx, struct fx_run *run, const char *function, const char *body)
{
    fx_run_init(run, function, body);
    fx_submit(fx, run);
    fx_wait(fx, run);
}

pid_t fx_zygote(struct fx_pool *fx)
{
    return fx->deployment->zygote ? zygote_pid(fx->deployment->zygote) : 0;
}

void fx_expect_text(const struct fx_run *run, const char *part)
{
    if (!strstr(run->text, part)) fail_msg("`%s` is not in `%s`", part, run->text);
}

struct probe {
    bool done;
    enum status status;
    char *text;
};

static void on_probed(void *ctx, enum status status, const struct err *err)
{
    struct probe *probe = ctx;
    probe->done = true;
    probe->status = status;
    if (status != STATUS_OK) snprintf(probe->text, 1024, "%s", err_text(err));
}

enum status fx_probe(struct fx_pool *fx, char text[1024])
{
    struct probe probe = {.text = text};
    text[0] = 0;
    pool_deployment_probe(fx->deployment, on_probed, &probe);
    while (!probe.done) loop_turn(fx->loop, true);
    return probe.status;
}

static void collect(pid_t pid, struct fx_family *family)
{
    if (family->count == FX_FAMILY_MAX) return;
    family->all[family->count++] = pid;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "r");
    if (!file) return;
    int child;
    while (fscanf(file, "%d", &child) == 1) collect(child, family);
    fclose(file);
}

struct fx_family fx_family_of(pid_t first)
{
    struct fx_family family = {.count = 0};
    collect(first, &family);
    return family;
}

struct fx_family fx_family(struct fx_pool *fx)
{
    return fx_family_of(fx_zygote(fx));
}

pid_t fx_pid_of(const struct worker *worker)
{
    if (!worker || worker->pidfd < 0) return 0;
    char path[64], line[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", worker->pidfd);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int pid = 0;
    while (pid == 0 && fgets(line, sizeof line, file))
        (void)sscanf(line, "Pid: %d", &pid); /* not this line */
    fclose(file);
    return pid > 0 ? pid : 0;
}
