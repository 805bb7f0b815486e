/* test_deploy.c - deployments with a probe and a store that do as they are told: whatever fails, the old version stays. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/catalog/deploy.h"
#include "runtime/loop/loop.h"
#include "statestore/statestore.h"
#include "tests/unit/catalog/fixture.h"

/* What the node would do, in the hands of the test. */
struct node {
    struct loop *loop;
    struct clock_manual clock;
    struct catalog *catalog;
    struct deployer *deployer;
    char dir[64];
    char artifacts[80];
    /* Set by the test: how the next steps end. */
    enum status probe_status;
    enum status commit_status;
    enum status durable_status;
    enum status erase_status;
    /* Seen. */
    unsigned probes, switches, commits, erased;
    char switched_to[CATALOG_VERSION_ID_BYTES + 1]; /* "" for a removal */
    bool closed;
    /* Under way: answered by a task, later on the loop. */
    deploy_on_probed_fn probed;
    void *probed_ctx;
    struct loop_task answer_probe;
    struct store_commit *commit;
    struct loop_task answer_commit;
    deploy_on_erased_fn erase_done;
    void *erase_ctx;
    struct loop_task answer_erase;
};

/* The store of these tests: deploy.c and catalog.c call nothing else of it. */
static struct node *store_node;

void store_submit(struct store *store, struct store_commit *commit)
{
    store_node->commits++;
    store_node->commit = commit;
    loop_post(store_node->loop, &store_node->answer_commit);
}

enum status store_scan(struct store_snapshot *snapshot, struct slice low, struct slice high, store_row_fn row,
                       void *ctx, struct err *err)
{
    return STATUS_OK;
}

static void on_answer_commit(struct loop_task *task, void *ctx)
{
    struct node *node = ctx;
    node->commit->status = node->commit_status;
    if (node->commit_status != STATUS_OK)
        (void)err_set(&node->commit->err, node->commit_status, "disk is full");
    node->commit->applied(node->commit);
    if (node->commit_status != STATUS_OK) return;
    node->commit->status = node->durable_status;
    node->commit->durable(node->commit);
}

static void probe(void *ctx, struct catalog_version *version, const char *path, deploy_on_probed_fn done,
                  void *done_ctx)
{
    struct node *node = ctx;
    assert_int_equal(access(path, R_OK), 0);
    node->probes++;
    node->probed = done;
    node->probed_ctx = done_ctx;
    loop_post(node->loop, &node->answer_probe);
}

static void on_answer_probe(struct loop_task *task, void *ctx)
{
    struct node *node = ctx;
    struct err err = ERR_INIT;
    if (node->probe_status != STATUS_OK) (void)err_set(&err, node->probe_status, "no function `f` in it");
    node->probed(node->probed_ctx, node->probe_status, &err);
}

static void on_switch(void *ctx, const char *app, struct catalog_version *version)
{
    struct node *node = ctx;
    assert_string_equal(app, "bank");
    node->switches++;
    snprintf(node->switched_to, sizeof node->switched_to, "%s", version ? version->id : "");
}

static void erase_state(void *ctx, const char *app, deploy_on_erased_fn done, void *done_ctx)
{
    struct node *node = ctx;
    node->erased++;
    node->erase_done = done;
    node->erase_ctx = done_ctx;
    loop_post(node->loop, &node->answer_erase);
}

static void on_answer_erase(struct loop_task *task, void *ctx)
{
    struct node *node = ctx;
    node->erase_done(node->erase_ctx, node->erase_status, NULL);
}

static struct node *node_make(void)
{
    struct node *node = calloc(1, sizeof *node);
    store_node = node;
    clock_manual_init(&node->clock, 1700000000000);
    assert_int_equal(loop_create(&node->loop, &node->clock.clock, NULL), STATUS_OK);
    snprintf(node->dir, sizeof node->dir, "%s", "/tmp/stead-deploy-XXXXXX");
    assert_non_null(mkdtemp(node->dir));
    snprintf(node->artifacts, sizeof node->artifacts, "%s/artifacts", node->dir);
    loop_task_init(&node->answer_commit, on_answer_commit, node);
    loop_task_init(&node->answer_probe, on_answer_probe, node);
    loop_task_init(&node->answer_erase, on_answer_erase, node);
    node->catalog = catalog_create();
    node->deployer = deployer_create(&(struct deploy_config){
        .loop = node->loop,
        .clock = &node->clock.clock,
        .catalog = node->catalog,
        .artifacts = node->artifacts,
        .ports = {.ctx = node, .probe = probe, .on_switch = on_switch, .erase_state = erase_state}});
    return node;
}

static void on_closed(void *ctx)
{
    struct node *node = ctx;
    node->closed = true;
}

static bool keep_nothing(void *ctx, const struct artifact_id *id)
{
    return false;
}

static void node_end(struct node *node)
{
    if (!node->closed)
    {
        deployer_close(node->deployer, on_closed, node);
        while (!node->closed) loop_turn(node->loop, true);
    }
    loop_destroy(node->loop);
    catalog_destroy(node->catalog);
    (void)artifact_sweep(node->artifacts, keep_nothing, NULL);
    (void)rmdir(node->artifacts); /* not made when nothing was deployed */
    assert_int_equal(rmdir(node->dir), 0);
    free(node);
}

/* ---- requests ---- */

struct fx_request {
    struct deploy_request request;
    char text[200];
    char code[sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + 8];
    bool done;
    char current[CATALOG_VERSION_ID_BYTES + 1];
};

static void on_done(struct deploy_request *request)
{
    struct fx_request *fx = CONTAINER_OF(request, struct fx_request, request);
    assert_false(fx->done);
    fx->done = true;
    if (request->current) snprintf(fx->current, sizeof fx->current, "%s", request->current->id);
}

/* Code that passes the check and is told apart by its last bytes. */
static void code_make(struct fx_request *fx, uint64_t number)
{
    Elf64_Ehdr header = {
        .e_type = ET_DYN, .e_phoff = sizeof header, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1};
    FILE *self = fopen("/proc/self/exe", "rb");
    Elf64_Ehdr here;
    assert_int_equal(fread(&here, sizeof here, 1, self), 1);
    fclose(self);
    memcpy(header.e_ident, here.e_ident, sizeof here.e_ident);
    header.e_machine = here.e_machine;
    Elf64_Phdr segment = {.p_type = PT_DYNAMIC};
    memcpy(fx->code, &header, sizeof header);
    memcpy(fx->code + sizeof header, &segment, sizeof segment);
    memcpy(fx->code + sizeof header + sizeof segment, &number, sizeof number);
}

static void fx_new(struct fx_request *fx, unsigned number)
{
    memset(fx, 0, sizeof *fx);
    code_make(fx, number);
    snprintf(fx->text, sizeof fx->text, "%s", "app: bank\ncode: a.so\nfunctions: [{name: f}]\n");
    fx->request = (struct deploy_request){.kind = DEPLOY_NEW,
                                          .app = SLICE("bank"),
                                          .manifest_text = slice_cstr(fx->text),
                                          .code = slice_make(fx->code, sizeof fx->code),
                                          .done = on_done};
}

static void fx_other(struct fx_request *fx, enum deploy_kind kind)
{
    memset(fx, 0, sizeof *fx);
    fx->request = (struct deploy_request){.kind = kind, .app = SLICE("bank"), .done = on_done};
}

static void run(struct node *node, struct fx_request *fx)
{
    deployer_submit(node->deployer, &fx->request);
    assert_false(fx->done); /* never inside of the call */
    while (!fx->done) loop_turn(node->loop, true);
}

static const char *current_of(struct node *node)
{
    const struct catalog_app *app = catalog_app_find(node->catalog, SLICE("bank"));
    return app ? catalog_app_current(app)->id : "";
}

/* ---- tests ---- */

static void a_first_deployment_is_probed_committed_and_switched_to(void **state)
{
    struct node *node = node_make();
    struct fx_request fx;
    fx_new(&fx, 1);
    run(node, &fx);
    assert_int_equal(fx.request.status, STATUS_OK);
    assert_string_equal(fx.request.previous, "");
    assert_false(fx.request.unchanged);
    assert_int_equal(node->probes, 1);
    assert_int_equal(node->commits, 1);
    assert_int_equal(node->switches, 1);
    assert_string_equal(node->switched_to, fx.current);
    assert_string_equal(current_of(node), fx.current);
    node_end(node);
}

static void the_same_content_again_is_a_no_op_that_says_so(void **state)
{
    struct node *node = node_make();
    struct fx_request fx;
    fx_new(&fx, 1);
    run(node, &fx);
    fx_new(&fx, 1);
    run(node, &fx);
    assert_int_equal(fx.request.status, STATUS_OK);
    assert_true(fx.request.unchanged);
    assert_string_equal(fx.request.previous, fx.current);
    assert_int_equal(node->commits, 1);
    assert_int_equal(node->switches, 1);
    node_end(node);
}

static void a_failed_probe_leaves_the_old_version(void **state)
{
    struct node *node = node_make();
    struct fx_request old, fresh;
    fx_new(&old, 1);
    run(node, &old);
    node->probe_status = STATUS_ARTIFACT_INVALID;
    fx_new(&fresh, 2);
    run(node, &fresh);
    assert_int_equal(fresh.request.status, STATUS_ARTIFACT_INVALID);
    assert_string_equal(fresh.request.err.text, "no function `f` in it");
    assert_string_equal(current_of(node), old.current);
    assert_int_equal(node->switches, 1);
    assert_int_equal(node->commits, 1);
    node_end(node);
}

static void a_failed_commit_leaves_the_old_version(void **state)
{
    struct node *node = node_make();
    struct fx_request old, fresh;
    fx_new(&old, 1);
    run(node, &old);
    node->commit_status = STATUS_STORE_FULL;
    fx_new(&fresh, 2);
    run(node, &fresh);
    assert_int_equal(fresh.request.status, STATUS_STORE_FULL);
    assert_string_equal(fresh.request.err.text, "disk is full");
    assert_string_equal(current_of(node), old.current);
    node->commit_status = STATUS_OK;
    node->durable_status = STATUS_STORE_IO;
    fx_new(&fresh, 3);
    run(node, &fresh);
    assert_int_equal(fresh.request.status, STATUS_STORE_IO);
    assert_string_equal(current_of(node), old.current);
    assert_int_equal(node->switches, 1);
    node_end(node);
}

static void wrong_manifests_and_wrong_code_are_refused_before_the_probe(void **state)
{
    struct node *node = node_make();
    struct fx_request fx;
    fx_new(&fx, 1);
    fx.request.manifest_text = SLICE("app: bank\n");
    run(node, &fx);
    assert_int_equal(fx.request.status, STATUS_MANIFEST_INVALID);
    assert_string_equal(fx.request.err.text, "stead.yaml:1: code: is missing");
    fx_new(&fx, 1);
    fx.request.app = SLICE("shop");
    run(node, &fx);
    assert_string_equal(fx.request.err.text, "stead.yaml: is of app `bank`, not of `shop`");
    fx_new(&fx, 1);
    fx.request.code = SLICE("no code at all");
    run(node, &fx);
    assert_int_equal(fx.request.status, STATUS_ARTIFACT_INVALID);
    assert_int_equal(node->probes, 0);
    node_end(node);
}

static void a_rollback_goes_to_the_version_before_or_the_one_named(void **state)
{
    struct node *node = node_make();
    struct fx_request first, second, back;
    fx_new(&first, 1);
    run(node, &first);
    fx_new(&second, 2);
    run(node, &second);
    fx_other(&back, DEPLOY_ROLLBACK);
    run(node, &back);
    assert_int_equal(back.request.status, STATUS_OK);
    assert_string_equal(back.current, first.current);
    assert_string_equal(back.request.previous, second.current);
    assert_string_equal(node->switched_to, first.current);
    fx_other(&back, DEPLOY_ROLLBACK);
    run(node, &back);
    assert_int_equal(back.request.status, STATUS_VERSION_NOT_FOUND);
    assert_string_equal(back.request.err.text, "app `bank` has no version before the current one");
    fx_other(&back, DEPLOY_ROLLBACK);
    back.request.version = slice_make(second.current, 8);
    run(node, &back);
    assert_string_equal(current_of(node), second.current);
    fx_other(&back, DEPLOY_ROLLBACK);
    back.request.version = SLICE("0123");
    run(node, &back);
    assert_string_equal(back.request.err.text, "app `bank` has no version `0123`");
    node_end(node);
}

static void a_removal_keeps_the_state_unless_asked(void **state)
{
    struct node *node = node_make();
    struct fx_request fx;
    fx_new(&fx, 1);
    run(node, &fx);
    fx_other(&fx, DEPLOY_REMOVE);
    run(node, &fx);
    assert_int_equal(fx.request.status, STATUS_OK);
    assert_string_equal(node->switched_to, "");
    assert_string_equal(current_of(node), "");
    assert_int_equal(node->erased, 0);
    fx_new(&fx, 1);
    run(node, &fx);
    fx_other(&fx, DEPLOY_REMOVE);
    fx.request.erase_state = true;
    run(node, &fx);
    assert_int_equal(node->erased, 1);
    fx_other(&fx, DEPLOY_REMOVE);
    run(node, &fx);
    assert_int_equal(fx.request.status, STATUS_APP_NOT_FOUND);
    assert_string_equal(fx.request.err.text, "there is no app named `bank`");
    fx_other(&fx, DEPLOY_ROLLBACK);
    run(node, &fx);
    assert_int_equal(fx.request.status, STATUS_APP_NOT_FOUND);
    node_end(node);
}

static void code_that_no_version_needs_is_swept_by_a_later_deployment(void **state)
{
    struct node *node = node_make();
    struct fx_request fx;
    node->probe_status = STATUS_ARTIFACT_INVALID;
    fx_new(&fx, 1);
    run(node, &fx);
    struct artifact_id orphan = artifact_id_of(fx.request.code);
    struct buf path = BUF_INIT;
    artifact_path(&path, node->artifacts, &orphan);
    assert_int_equal(access(buf_cstr(&path), F_OK), 0);
    node->probe_status = STATUS_OK;
    fx_new(&fx, 2);
    run(node, &fx);
    assert_int_equal(access(buf_cstr(&path), F_OK), -1);
    buf_fini(&path);
    node_end(node);
}

static void deployments_wait_for_one_another_up_to_a_bound(void **state)
{
    struct node *node = node_make();
    struct fx_request fx[BOUND_DEPLOYS_WAITING_MAX + 1];
    for (unsigned i = 0; i <= BOUND_DEPLOYS_WAITING_MAX; i++)
    {
        fx_new(&fx[i], i);
        deployer_submit(node->deployer, &fx[i].request);
    }
    while (!fx[BOUND_DEPLOYS_WAITING_MAX - 1].done) loop_turn(node->loop, true);
    assert_true(fx[BOUND_DEPLOYS_WAITING_MAX].done);
    assert_int_equal(fx[BOUND_DEPLOYS_WAITING_MAX].request.status, STATUS_OVERLOADED);
    for (unsigned i = 0; i < BOUND_DEPLOYS_WAITING_MAX; i++)
        assert_int_equal(fx[i].request.status, STATUS_OK);
    assert_int_equal(node->switches, BOUND_DEPLOYS_WAITING_MAX);
    node_end(node);
}

static void closing_ends_what_waits_and_finishes_what_runs(void **state)
{
    struct node *node = node_make();
    struct fx_request running, waiting;
    fx_new(&running, 1);
    fx_new(&waiting, 2);
    deployer_submit(node->deployer, &running.request);
    while (node->probes == 0) loop_turn(node->loop, true);
    deployer_submit(node->deployer, &waiting.request);
    deployer_close(node->deployer, on_closed, node);
    while (!node->closed) loop_turn(node->loop, true);
    assert_int_equal(running.request.status, STATUS_OK);
    assert_int_equal(waiting.request.status, STATUS_DRAINING);
    node_end(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_deployment_is_probed_committed_and_switched_to),
        cmocka_unit_test(the_same_content_again_is_a_no_op_that_says_so),
        cmocka_unit_test(a_failed_probe_leaves_the_old_version),
        cmocka_unit_test(a_failed_commit_leaves_the_old_version),
        cmocka_unit_test(wrong_manifests_and_wrong_code_are_refused_before_the_probe),
        cmocka_unit_test(a_rollback_goes_to_the_version_before_or_the_one_named),
        cmocka_unit_test(a_removal_keeps_the_state_unless_asked),
        cmocka_unit_test(code_that_no_version_needs_is_swept_by_a_later_deployment),
        cmocka_unit_test(deployments_wait_for_one_another_up_to_a_bound),
        cmocka_unit_test(closing_ends_what_waits_and_finishes_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
