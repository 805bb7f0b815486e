/* test_pool_death.c - no process outlives the daemon, also when it is killed; and a daemon without root works. */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "tests/integration/pool/fx_pool.h"

enum { PROCESSES = 4 }; /* the zygote's two and two workers */

static bool two_spin(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.workers_busy == 2 && fx->log_lines >= 2;
}

/* Works as a daemon until it is killed: two workers spin, and who they are goes to `out`. */
static _Noreturn void be_daemon(int out, pid_t test)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != test) _exit(1);
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run runs[2];
    for (int i = 0; i < 2; i++)
    {
        fx_run_init(&runs[i], "logs_and_spins", "");
        fx_submit(&fx, &runs[i]);
    }
    fx_until(&fx, two_spin);
    struct fx_family told = fx_family(&fx);
    (void)!write(out, &told, sizeof told);
    for (;;) loop_turn(fx.loop, true);
}

static void expect_death(int pidfd)
{
    struct pollfd dead = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&dead, 1, 5000), 1);
    close(pidfd);
}

static void after_kill_of_the_daemon_its_processes_die(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t test = getpid(), daemon = fork();
    assert_true(daemon >= 0);
    if (daemon == 0) be_daemon(ends[1], test);
    close(ends[1]);
    struct fx_family told;
    assert_int_equal(read(ends[0], &told, sizeof told), sizeof told);
    close(ends[0]);
    assert_int_equal(told.count, PROCESSES);
    int alive[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) assert_true((alive[i] = pidfd_open(told.all[i], 0)) >= 0);

    kill(daemon, SIGKILL);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);
    for (int i = 0; i < PROCESSES; i++) expect_death(alive[i]);
}

/* Runs the body in a child of another user; its exit code is the answer. */
static int as_user(uid_t uid, int (*body)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
    {
        if (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) _exit(90);
        _exit(body());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 91;
}

enum { USER = 54321, NO_NAMESPACES = 77 };

static int run_without_root(void)
{
    if (access(FX_ZYGOTE, X_OK) != 0) return NO_NAMESPACES;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    char text[1024];
    if (fx_probe(&fx, text) != STATUS_OK)
    {
        fprintf(stderr, "%s\n", text);
        return strstr(text, "user namespace") ? NO_NAMESPACES : 1;
    }
    struct fx_run run;
    fx_do(&fx, &run, "escapes", "");
    if (run.status != STATUS_OK || run.text[0])
    {
        fprintf(stderr, "%s: %s\n", status_code(run.status), run.text);
        return 2;
    }
    fx_run_init(&run, "spins", ""); /* it can still be killed */
    run.invoke.timeout_ms = 50;
    fx_submit(&fx, &run);
    fx_wait(&fx, &run);
    if (run.status != STATUS_FUNCTION_TIMEOUT) return 3;
    fx_pool_close(&fx);
    return 0;
}

static void a_daemon_without_root_has_a_sandbox(void **state)
{
    (void)state;
    if (geteuid() != 0) skip(); /* then every other test here shows it */
    int code = as_user(USER, run_without_root);
    if (code == NO_NAMESPACES)
        skip(); /* this kernel refuses user namespaces, or the build is in a private folder */
    assert_int_equal(code, 0);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return done;
}

/* In a user namespace that allows no further ones, as an administrator can set it for the machine. */
static int run_where_user_namespaces_are_refused(void)
{
    if (access(FX_ZYGOTE, X_OK) != 0) return NO_NAMESPACES;
    char map[64];
    snprintf(map, sizeof map, "%u %u 1", geteuid(), geteuid());
    if (prctl(PR_SET_DUMPABLE, 1) != 0 || unshare(CLONE_NEWUSER) != 0 ||
        !write_text("/proc/self/uid_map", map) || !write_text("/proc/sys/user/max_user_namespaces", "0"))
        return NO_NAMESPACES;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    char text[1024];
    enum status status = fx_probe(&fx, text);
    fx_pool_close(&fx);
    if (status == STATUS_UNSUPPORTED && strstr(text, "a user namespace is refused") &&
        strstr(text, "`sandbox: none`"))
        return 0;
    fprintf(stderr, "%s: %s\n", status_code(status), text);
    return 1;
}

static void without_user_namespaces_the_sandbox_says_what_to_do(void **state)
{
    (void)state;
    if (geteuid() != 0) skip(); /* root has other ways, so another user is needed */
    int code = as_user(USER, run_where_user_namespaces_are_refused);
    if (code == NO_NAMESPACES) skip(); /* there are none to begin with */
    assert_int_equal(code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_kill_of_the_daemon_its_processes_die),
        cmocka_unit_test(a_daemon_without_root_has_a_sandbox),
        cmocka_unit_test(without_user_namespaces_the_sandbox_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
