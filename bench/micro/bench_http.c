/* bench_http.c - the gateway alone: an echo answered later, by a post, under wrk; beside it nginx `return 200`. */
// SPDX-License-Identifier: Apache-2.0
//
//     bench_http [--seconds N] [--json]    each case, in turns with nginx when that is installed
//     bench_http --serve                   prints its address and serves until killed: for a profiler
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/gateway/gateway.h"
#include "runtime/loop/loop.h"

enum { WAITING_MAX = 4096 };

/* ---- the server: every exchange is answered by a task that is posted when it arrives, as a committer would ---- */

struct server {
    struct loop *loop;
    struct gateway *gateway;
    struct loop_task answer;
    struct http_exchange *waiting[WAITING_MAX];
    size_t waiting_count;
    const char *address;
    pthread_t thread;
};

static void on_answer(struct loop_task *task, void *ctx)
{
    (void)task;
    struct server *server = ctx;
    const struct http_header type = {SLICE("Content-Type"), SLICE("application/octet-stream")};
    for (size_t i = 0; i < server->waiting_count; i++)
        http_reply(server->waiting[i], 200, &type, 1, http_exchange_request(server->waiting[i])->body);
    server->waiting_count = 0;
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct server *server = ctx;
    CHECK(server->waiting_count < WAITING_MAX);
    server->waiting[server->waiting_count++] = exchange;
    loop_post(server->loop, &server->answer);
}

static void *server_main(void *arg)
{
    loop_run(((struct server *)arg)->loop);
    return NULL;
}

static void server_open(struct server *server)
{
    struct err err = ERR_INIT;
    struct gateway_config config = {0};
    loop_task_init(&server->answer, on_answer, server);
    if (loop_create(&server->loop, clock_real(), &err) != STATUS_OK) goto failed;
    config.loop = server->loop;
    if (gateway_open(&server->gateway, &config, &err) != STATUS_OK) goto failed;
    if (gateway_listen_tcp(server->gateway, "127.0.0.1", 0, on_request, server, &server->address, &err) ==
        STATUS_OK)
        return;
failed:
    fprintf(stderr, "bench_http: %s\n", err_text(&err));
    exit(1);
}

/* ---- nginx, in a folder of its own ---- */

struct nginx {
    char dir[64];
    char address[64];
    unsigned port;
    pid_t pid; /* 0: not installed */
};

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void nginx_configure(const struct nginx *nginx)
{
    char path[128];
    snprintf(path, sizeof path, "%s/nginx.conf", nginx->dir);
    FILE *file = fopen(path, "w");
    CHECK(file);
    fprintf(file,
            "daemon off; master_process off; error_log stderr emerg; pid %s/nginx.pid;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off; keepalive_requests 1000000000; client_body_temp_path %s/body;\n"
            "  proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi; uwsgi_temp_path %s/uwsgi;\n"
            "  scgi_temp_path %s/scgi;\n"
            "  server { listen %s; location / { return 200 'ok'; } } }\n",
            nginx->dir, nginx->dir, nginx->dir, nginx->dir, nginx->dir, nginx->dir, nginx->address);
    CHECK(fclose(file) == 0);
}

static bool nginx_answers(const struct nginx *nginx)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)nginx->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answers;
}

static void nginx_start(struct nginx *nginx)
{
    nginx->pid = 0;
    snprintf(nginx->dir, sizeof nginx->dir, "/tmp/bench_http.XXXXXX");
    CHECK(mkdtemp(nginx->dir));
    nginx->port = free_port();
    snprintf(nginx->address, sizeof nginx->address, "127.0.0.1:%u", nginx->port);
    nginx_configure(nginx);
    char conf[128];
    snprintf(conf, sizeof conf, "%s/nginx.conf", nginx->dir);
    char *const arguments[] = {"nginx", "-c", conf, NULL};
    pid_t pid;
    if (posix_spawnp(&pid, "nginx", NULL, NULL, arguments, environ) != 0 &&
        posix_spawn(&pid, "/usr/sbin/nginx", NULL, NULL, arguments, environ) != 0)
    {
        fprintf(stderr, "bench_http: nginx is not installed, measured without it\n");
        return;
    }
    while (!nginx_answers(nginx))
    {
        if (waitpid(pid, NULL, WNOHANG) == pid)
        {
            fprintf(stderr, "bench_http: nginx does not run here, measured without it\n");
            return;
        }
        usleep(1000);
    }
    nginx->pid = pid;
}

static int on_found(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static void nginx_stop(const struct nginx *nginx)
{
    if (nginx->pid)
    {
        kill(nginx->pid, SIGTERM);
        waitpid(nginx->pid, NULL, 0);
    }
    CHECK(nftw(nginx->dir, on_found, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- the load ---- */

static const char *const script =
    "wrk.method = 'POST'\n"
    "wrk.body = string.rep('x', 64)\n"
    "function done(s, l)\n"
    "  local e = s.errors\n"
    "  io.write(string.format('RESULT %f %d %d %d %d\\n', s.requests * 1e6 / s.duration,\n"
    "    l:percentile(50), l:percentile(99), l:percentile(99.9),\n"
    "    e.connect + e.read + e.write + e.status + e.timeout))\n"
    "end\n";

struct figures {
    double rate;
    long p50_us, p99_us, p999_us, errors;
};

/* Starts wrk with its output in *output. */
static pid_t wrk_start(char *const arguments[], FILE **output)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    pid_t pid;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0);
    if (posix_spawnp(&pid, "wrk", &actions, NULL, arguments, environ) != 0)
    {
        fprintf(stderr, "bench_http: wrk is not installed\n");
        exit(1);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *output = fdopen(ends[0], "r");
    CHECK(*output);
    return pid;
}

static struct figures wrk(const char *dir, const char *address, unsigned connections, unsigned seconds)
{
    char path[128], url[128], count[16], duration[16], line[300];
    snprintf(path, sizeof path, "%s/echo.lua", dir);
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(script, file) >= 0 && fclose(file) == 0);
    snprintf(url, sizeof url, "http://%s/echo/echo", address);
    snprintf(count, sizeof count, "-c%u", connections);
    snprintf(duration, sizeof duration, "-d%us", seconds);
    FILE *output;
    pid_t pid = wrk_start((char *const[]){"wrk", "-t1", count, duration, "-s", path, url, NULL}, &output);
    struct figures found = {0};
    while (fgets(line, sizeof line, output))
        (void)sscanf(line, "RESULT %lf %ld %ld %ld %ld", &found.rate, &found.p50_us, &found.p99_us,
                     &found.p999_us, &found.errors); /* other lines are for people */
    (void)fclose(output); /* was only read */
    int ended;
    if (waitpid(pid, &ended, 0) != pid || ended != 0 || found.rate <= 0)
    {
        fprintf(stderr, "bench_http: wrk failed at %s\n", url);
        exit(1);
    }
    return found;
}

static void print(bool json, const char *system, unsigned connections, struct figures f)
{
    if (json)
        printf("{\"bench\":\"http\",\"system\":\"%s\",\"case\":\"echo\",\"connections\":%u,\"keys\":0,"
               "\"rate\":%.0f,"
               "\"p50_us\":%ld,\"p99_us\":%ld,\"p999_us\":%ld,\"errors\":%ld,\"durability\":\"none\"}\n",
               system, connections, f.rate, f.p50_us, f.p99_us, f.p999_us, f.errors);
    else
        printf("%-6s %4u connections %8.0f/s   p50 %5ld us   p99 %6ld us   p99.9 %6ld us   errors %ld\n",
               system, connections, f.rate, f.p50_us, f.p99_us, f.p999_us, f.errors);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    bool json = false, serve = false;
    unsigned long seconds = 3;
    for (int i = 1; i < argc; i++)
    {
        if (strcmp(argv[i], "--json") == 0) json = true;
        if (strcmp(argv[i], "--serve") == 0) serve = true;
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) seconds = strtoul(argv[++i], NULL, 10);
    }
    if (seconds < 1 || seconds > 3600) seconds = 1;
    static struct server server;
    server_open(&server);
    if (serve)
    {
        printf("%s\n", server.address);
        fflush(stdout);
        loop_run(server.loop);
    }
    struct nginx nginx;
    nginx_start(&nginx);
    CHECK(pthread_create(&server.thread, NULL, server_main, &server) == 0);
    static const unsigned cases[] = {1, 8, 64, 256};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        if (nginx.pid)
            print(json, "nginx", cases[i], wrk(nginx.dir, nginx.address, cases[i], (unsigned)seconds));
        print(json, "stead", cases[i], wrk(nginx.dir, server.address, cases[i], (unsigned)seconds));
    }
    nginx_stop(&nginx);
    return 0; /* the loop's thread ends with the process */
}
